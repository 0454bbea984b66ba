"""A snapshot of a large Postgres table, extracted at once and in parts of one state of the data, in turns."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import psycopg

from benchmarks.extract import scratch
from benchmarks.extract.__main__ import QUERY, SCRIPT
from benchmarks.figures import Figure, medians
from penstock.declare.table import ReplicatedTable
from penstock.extract.in_parts import whole_result
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.parts import ranges_of
from penstock.warehouse.postgres.warehouse import PostgresWarehouse


@click.command()
@click.option("--rows", default=2_000_000, show_default=True)
@click.option("--parts", default=8, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(rows: int, parts: int, rounds: int) -> None:
    """Extract a table of eight columns, each way in turn, and print medians and the ratio."""
    table = ReplicatedTable("orders", QUERY, ("id",), version_query="SELECT 1")
    found: set[str] = set()
    with scratch(SCRIPT.format(rows=rows)) as (url, folder):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
            connection.execute("ANALYZE orders")
        warehouses = [PostgresWarehouse(url, part_rows=rows), PostgresWarehouse(url, part_rows=rows // parts)]
        assert [len(ranges_of(one, QUERY, ("id",))) for one in warehouses] == [0, parts]

        def extract(warehouse: PostgresWarehouse) -> Callable[[], None]:
            def run() -> None:
                with TemporaryDirectory(dir=folder) as place, whole_result(warehouse, table, _store(place)) as batches:
                    recipe = Recipe(QUERY, ("id",))
                    found.add(_store(place).write("orders", batches, recipe, as_of=datetime.now(UTC)).id)

            return run

        once, cut = medians(rounds, *map(extract, warehouses))
    assert len(found) == 1, "it is the same snapshot"
    click.echo(Figure("at once: thousand rows per second", rows / once / 1000, "").line())
    click.echo(Figure(f"in {parts} parts: thousand rows per second", rows / cut / 1000, "").line())
    click.echo(Figure("in parts, times at once", once / cut, "").line())


def _store(place: str) -> SnapshotStore:
    return SnapshotStore(str(Path(place) / "store"))


if __name__ == "__main__":
    main()
