"""The warehouse in Redshift: what is different there from Postgres. Never tried on a Redshift, see docs/warehouses.md.

- A backslash in a text escapes: https://docs.aws.amazon.com/redshift/latest/dg/r_QUOTE_LITERAL.html.
- It has no COPY to a client: rows come by a cursor.
- Text is always sorted by its bytes, and there is no COLLATE "C". A cast to `text` is one to 256 bytes.
- `pg_type` has no categories, and there are no enumerations; session settings are statements.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import psycopg
import pyarrow as pa

from penstock.sql_text import quotes_doubled
from penstock.store_url import open_store
from penstock.warehouse.interface import BATCH_ROWS, WarehouseError, quoted
from penstock.warehouse.literals import escaped
from penstock.warehouse.parts import KeyRange
from penstock.warehouse.postgres.text import refused
from penstock.warehouse.postgres.types import AS_TEXT, Kinds, PostgresColumn, as_declared, columns_of, schema_of
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.query_text import subquery
from penstock.warehouse.reading import Query, run
from penstock.warehouse.unload import UnloadFile, UnloadReport

MANIFEST = "manifest"


class _Meta(msgspec.Struct):
    content_length: int
    record_count: int


class _Entry(msgspec.Struct):
    url: str
    meta: _Meta


class _Manifest(msgspec.Struct):
    entries: list[_Entry]


def from_manifest(files: Any, path: str) -> tuple[UnloadFile, ...]:
    """The files of a manifest (MANIFEST VERBOSE); WarehouseError where there is none."""
    try:
        found = msgspec.json.decode(files.cat_file(path), type=_Manifest)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise WarehouseError(
            "manifest of an unload",
            expected="one in JSON that lists each file with content_length and record_count",
            found=str(error),
            todo="Extract again; without `unload` in PENSTOCK_WAREHOUSE_URL the rows come by a cursor.",
        ) from None
    return tuple(
        UnloadFile(posixpath.basename(one.url), one.meta.content_length, one.meta.record_count) for one in found.entries
    )


def unload_statement(query: str, columns: Sequence[PostgresColumn], folder: str, role: str) -> str:
    """The statement that unloads a query; without a role it is the cluster's default one."""
    listed = ", ".join(f"{one.compared()} AS {quoted(one.name)}" for one in columns)
    select = f"SELECT {listed} FROM (\n{subquery(query)}) AS extract"
    by = escaped(role) if role else "default"
    return (
        f"UNLOAD ({escaped(select)}) TO {escaped(folder + '/')} IAM_ROLE {by}"
        " FORMAT AS PARQUET MANIFEST VERBOSE MAXFILESIZE 256 MB"
    )


@dataclass(frozen=True)
class RedshiftColumn(PostgresColumn):
    """See `PostgresColumn`."""

    TEXT: ClassVar[str] = "varchar(65535)"
    BYTES: ClassVar[str] = ""
    FOLDED: ClassVar[bool] = True


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

    def spoken(self, query: str) -> str:
        """See `PostgresWarehouse.spoken`."""
        return quotes_doubled(query)

    def text(self, value: str) -> str:
        """See `PostgresWarehouse.text`. For a backslash the driver writes E'…', which Redshift does not document."""
        return escaped(value)

    def session(self) -> Mapping[str, str]:
        """See `PostgresWarehouse.session`."""
        return {}

    def hash_joins(self) -> Mapping[str, str]:
        """See `PostgresWarehouse.hash_joins`. Redshift joins by equality through hashes anyway."""
        return {}

    def ranges(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str]) -> list[KeyRange]:  # noqa: ARG002
        """See `PartSource.ranges`. Redshift exports no snapshot."""
        return []

    def state(self, column: str, value: str | int) -> str:  # noqa: ARG002
        """See `PostgresWarehouse.state`. Redshift has no such columns."""
        return ""

    @property
    def unload_url(self) -> str:
        """See `UnloadSource.unload_url`."""
        return self._place.unload_option("unload")

    def unload(self, query: str, folder: str) -> UnloadReport:
        """See `UnloadSource.unload`. The manifest of the unload says which files there are."""
        with self._connected() as connection:
            query = self.spoken(query)
            columns = self._described(connection, query)
            statement = unload_statement(query, columns, folder, self._place.unload_option("iam_role"))

            def start() -> pa.RecordBatchReader:
                self.run(connection, statement)
                return pa.RecordBatchReader.from_batches(pa.schema([]), [])

            def explain(error: Exception) -> Exception:
                return refused(error, query, "unload") if isinstance(error, psycopg.Error) else error

            run(Query(start, connection.cancel_safe, explain, self.timeout, self.ended, "unload"))
            (rows,) = connection.execute("SELECT pg_last_unload_count()").fetchone() or (0,)
        files, root = open_store(folder)
        path = posixpath.join(root, MANIFEST)
        files.invalidate_cache()
        if not rows and not files.exists(path):
            return UnloadReport(schema_of(columns), 0, ())
        return UnloadReport(schema_of(columns), int(rows), from_manifest(files, path), (MANIFEST,))

    def run(self, connection: psycopg.Connection[Any], statement: str) -> None:
        """Run a statement without rows."""
        connection.execute(statement.encode())

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
    """See `postgres.types.kinds`."""
    listed = ", ".join(str(int(oid)) for oid in oids)
    rows = connection.execute(
        f"SELECT oid::bigint, format_type(oid, NULL) FROM pg_type WHERE oid IN ({listed})".encode()
    )
    return {oid: (name, oid in AS_TEXT) for oid, name in rows}
