"""Rows of texts in three warehouses, each column in a type of that kind's own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.testing import System
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from tests.engine.scaffold.orders import ANSWER
from tests.engine.scaffold.test_new import Shop
from tests.engine.scaffold.test_same_everywhere import Products

LINES = ("a", "B", "ä", "Z", "_", "a ", "É", "ß", "日本", "A'b\"c\\d", "%x")
"""Texts that collations order otherwise than bytes."""
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


def made_alike(shop: Shop, urls: dict[str, str], folder: Path, model: str, published: tuple[str, ...]) -> None:
    """Not a line of the project changes, and all that it makes is the same from each warehouse."""
    written = {name: (shop.root / name).read_bytes() for name in shop.files()}
    made = {kind: Products(shop, folder / f"store of {kind}", url, model, published) for kind, url in urls.items()}
    first = made["duckdb"]
    assert len(first.snapshots) == len(published) + 2
    for other in (made["postgres"], made["clickhouse"]):
        assert other.snapshots == first.snapshots
        assert other.artifact == first.artifact
        assert other.requests == first.requests
    assert {name: (shop.root / name).read_bytes() for name in written} == written
    asked = shop.run("-c", ANSWER, model, shop.served_book, stdin=first.requests)
    assert len(asked.stdout.splitlines()) == len(first.requests.splitlines()) > 0


def written(rows: list[dict[str, Any]]) -> Rows:
    return [{name: None if value is None else _text(value) for name, value in row.items()} for row in rows]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
