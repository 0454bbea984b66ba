"""The warehouse in Redshift: what is different there from Postgres. Never tried on a Redshift, see docs/warehouses.md.

- It has no COPY to a client: rows come by a cursor.
- Text is always sorted by its bytes, and there is no COLLATE "C". A cast to `text` is one to 256 bytes.
- `pg_type` has no categories, and there are no enumerations; session settings are statements.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
import pyarrow as pa

from penstock.warehouse.interface import BATCH_ROWS
from penstock.warehouse.parts import KeyRange
from penstock.warehouse.postgres import PostgresWarehouse
from penstock.warehouse.postgres_types import AS_TEXT, Kinds, PostgresColumn, as_declared, columns_of


@dataclass(frozen=True)
class RedshiftColumn(PostgresColumn):
    """See `PostgresColumn`."""

    TEXT: ClassVar[str] = "varchar(65535)"
    BYTES: ClassVar[str] = ""


@dataclass(frozen=True)
class RedshiftWarehouse(PostgresWarehouse):
    """Redshift, through the drivers of Postgres. The attributes are those of `PostgresWarehouse`."""

    SETTINGS: ClassVar[Sequence[str]] = ("SET timezone TO 'UTC'", "SET datestyle TO 'ISO'")

    @property
    def dialect(self) -> str:
        """Always `redshift`."""
        return "redshift"

    def columns(self, connection: psycopg.Connection[Any], text: str) -> list[PostgresColumn]:
        """See `PostgresWarehouse.columns`."""
        return columns_of(connection, text, kinds, RedshiftColumn)

    def session(self) -> Mapping[str, str]:
        """See `PostgresWarehouse.session`."""
        return {}

    def hash_joins(self) -> Mapping[str, str]:
        """See `PostgresWarehouse.hash_joins`. Redshift joins by equality through hashes anyway."""
        return {}

    def ranges(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str]) -> list[KeyRange]:  # noqa: ARG002
        """See `PartSource.ranges`. Redshift exports no snapshot."""
        return []

    def read(self, cursor: Any, statement: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """See `PostgresWarehouse.read`."""
        cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        cursor.execute(f"DECLARE penstock CURSOR FOR {statement}")

        def batches() -> Iterator[pa.RecordBatch]:
            rows = BATCH_ROWS
            while rows:
                cursor.execute(f"FETCH FORWARD {BATCH_ROWS} FROM penstock")
                rows = 0
                for batch in cursor.fetch_record_batch():
                    rows += batch.num_rows
                    yield as_declared(batch, schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


def kinds(connection: psycopg.Connection[Any], oids: Iterable[int]) -> Kinds:
    """See `postgres_types.kinds`."""
    listed = ", ".join(str(int(oid)) for oid in oids)
    rows = connection.execute(
        f"SELECT oid::bigint, format_type(oid, NULL) FROM pg_type WHERE oid IN ({listed})".encode()
    )
    return {oid: (name, oid in AS_TEXT) for oid, name in rows}
