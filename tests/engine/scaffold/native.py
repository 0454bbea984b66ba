"""Rows of texts in three warehouses, each column in a type of that kind's own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.testing import System
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse

Rows = Sequence[Mapping[str, str | None]]
Types = Mapping[str, tuple[str, str, str]]
"""Column -> its type in DuckDB, Postgres and ClickHouse."""


class Warehouses:
    """A DuckDB, a Postgres of another collation and zone, and a ClickHouse: `urls` by their kind."""

    def __init__(self, system: System, folder: Path, new_database: Callable[[], str], *, before: str = "") -> None:
        self._system, self._folder = system, folder
        self.urls = {
            "duckdb": f"duckdb:///{system.settings.warehouse_file}",
            "postgres": new_database(),
            "clickhouse": f"chdb://{folder / 'chdb'}",
        }
        (folder / "chdb").mkdir()
        if before:
            system.warehouse.prepare(before)
            with psycopg.connect(self.urls["postgres"], autocommit=True) as connection:
                connection.execute(before.encode())

    def write(self, name: str, types: Types, rows: Rows) -> None:
        """The table in all three, every value cast there from its text."""
        file = self._folder / f"{name}.parquet"
        pq.write_table(
            pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(dict.fromkeys(types, pa.string()))), file
        )
        plain = {column: tuple(kind.removesuffix(" NOT NULL") for kind in kinds) for column, kinds in types.items()}
        casts = [
            ", ".join(f'CAST("{column}" AS {kinds[place]})' for column, kinds in plain.items()) for place in range(3)
        ]
        listed = [", ".join(f'"{column}" {kinds[place]}' for column, kinds in types.items()) for place in range(3)]
        self._system.warehouse.prepare(
            f"CREATE TABLE {name} ({listed[0]}); INSERT INTO {name} SELECT {casts[0]} FROM read_parquet('{file}')"
        )
        with psycopg.connect(self.urls["postgres"], autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {name} ({listed[1]})".encode())
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row([row[column] for column in types])
        there = ClickHouseWarehouse(self.urls["clickhouse"])
        there.prepare(f"CREATE TABLE {name} ({listed[2]})")
        there.prepare(f"INSERT INTO {name} SELECT {casts[2]} FROM file('{file}', Parquet)")
