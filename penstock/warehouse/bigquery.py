"""The warehouse in BigQuery, through the vendor's client and its Arrow stream. Never tried on a BigQuery.

A query is described by a dry run, which reads nothing and costs nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from penstock.warehouse.backticks import DOT, backticked
from penstock.warehouse.column import Column, demand_columns
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.literals import Literals, escaped, instant, literal
from penstock.warehouse.query_text import subquery
from penstock.warehouse.url import WarehouseUrl, driver, unreachable

LITERALS: Literals = {
    datetime: lambda value: f"TIMESTAMP '{instant(value)}+00'" if value.tzinfo else f"DATETIME '{instant(value)}'",
    Decimal: lambda value: f"NUMERIC '{value:f}'",
    str: escaped,
}
TYPES: dict[str, tuple[pa.DataType, str]] = {
    "BOOLEAN": (pa.bool_(), ""),
    "INTEGER": (pa.int64(), ""),
    "FLOAT": (pa.float64(), ""),
    "NUMERIC": (pa.decimal128(38, 9), ""),
    "BIGNUMERIC": (pa.float64(), "CAST({} AS FLOAT64)"),
    "STRING": (pa.string(), ""),
    "BYTES": (pa.binary(), ""),
    "DATE": (pa.date32(), ""),
    "TIME": (pa.time64("us"), ""),
    "DATETIME": (pa.timestamp("us"), ""),
    "TIMESTAMP": (pa.timestamp("us", "UTC"), ""),
}
"""Type as the schema of a result has it -> Arrow type, cast. BIGNUMERIC has more digits than a book keeps."""
_SHORT = {"BOOL": "BOOLEAN", "INT64": "INTEGER", "FLOAT64": "FLOAT"}


def column(name: str, kind: str, mode: str) -> Column | None:
    """The column of a field of a schema; None where nothing can hold it."""
    found = TYPES.get(_SHORT.get(kind, kind))
    return None if found is None or mode == "REPEATED" else Column(name.replace(DOT, "."), *found)


@dataclass
class BigQuerySession:
    """See `described.Session`. `job` is the newest query."""

    client: Any
    config: Any
    job: Any = field(default=None)

    def columns(self, query: str) -> list[Column]:
        """See `Session.columns`."""
        job = self.client.query(backticked(subquery(query), dots=False), job_config=self.config(dry_run=True))
        listed = ((one.name, one.field_type, one.mode) for one in job.schema)
        return demand_columns((name, f"{mode} {kind}", column(name, kind, mode)) for name, kind, mode in listed)

    def rows(self, statement: str, schema: pa.Schema) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        """See `Session.rows`."""
        self.job = self.client.query(backticked(statement, dots=False), job_config=self.config())
        found: Iterable[pa.RecordBatch] = self.job.result().to_arrow_iterable()
        return found

    def cost(self, statement: str) -> str:
        """See `Session.cost`: what is paid for."""
        job = self.client.query(backticked(statement, dots=False), job_config=self.config(dry_run=True))
        return f"{job.total_bytes_processed:,} bytes read"

    def run(self, statement: str) -> None:
        """See `Session.run`."""
        self.job = self.client.query(backticked(statement, dots=False), job_config=self.config())
        self.job.result()

    def cancel(self) -> None:
        """See `Session.cancel`."""
        if self.job is not None:
            self.job.cancel()


@dataclass(frozen=True)
class BigQueryWarehouse(DescribedWarehouse):
    """`bigquery://project/dataset?location=EU&maximum_bytes_billed=…`; credentials are those of the environment."""

    DIALECT: ClassVar[str] = "bigquery"
    BACKSLASHES: ClassVar[bool] = True

    @contextmanager
    def session(self) -> Iterator[BigQuerySession]:
        """See `DescribedWarehouse.session`."""
        module, url = driver("google.cloud.bigquery", "bigquery"), self._place.parsed
        try:
            client = module.Client(project=url.host, location=url.query.get("location"))
        except self.refusals() as error:
            raise unreachable(self._place, error) from None
        most = url.query.get("maximum_bytes_billed")
        limits = {"maximum_bytes_billed": int(most)} if isinstance(most, str) else {}

        def config(*, dry_run: bool = False) -> Any:
            default = f"{url.host}.{url.database}" if url.database else None
            return module.QueryJobConfig(
                dry_run=dry_run, use_query_cache=not dry_run, default_dataset=default, **limits
            )

        with client:
            yield BigQuerySession(client, config)

    def literal(self, value: Any) -> str:
        """See `DescribedWarehouse.literal`."""
        return literal(value, LITERALS)

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `DescribedWarehouse.refusals`."""
        api = driver("google.api_core.exceptions", "bigquery").GoogleAPIError
        return (api, driver("google.auth.exceptions", "bigquery").GoogleAuthError, OSError)

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)
