"""Rows per second out of a Postgres warehouse: Penstock, its driver alone, and rows of SQLAlchemy, in turns."""

from datetime import UTC, datetime

import adbc_driver_postgresql.dbapi as adbc
import click
import pyarrow as pa
import sqlalchemy as sa

from benchmarks.extract import scratch
from benchmarks.figures import Figure, at_least, medians
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.interface import BATCH_ROWS
from penstock.warehouse.postgres.warehouse import PostgresWarehouse

SCRIPT = """
CREATE TABLE orders AS SELECT n::bigint AS id, (n % 1000)::int AS shop, random() AS score, random()::real AS share,
    'name ' || n % 5000 AS name, timestamptz '2026-01-01' + n * interval '1 second' AS at,
    date '2026-01-01' + n % 700 AS day, n % 2 = 0 AS open FROM generate_series(1, {rows}) AS n;
ANALYZE orders
"""
QUERY = "SELECT * FROM orders"
ORDERED = f"{QUERY} ORDER BY id"


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(rows: int, rounds: int) -> None:
    """Read a table of eight columns, each way in turn, and print medians and ratios."""
    with scratch(SCRIPT.format(rows=rows)) as (url, folder):
        warehouse = PostgresWarehouse(url)
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))

        def driver() -> None:
            with adbc.connect(url) as connection, connection.cursor() as cursor:
                cursor.execute(ORDERED)
                assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == rows

        def ours() -> None:
            with warehouse.batches(QUERY, key=("id",)) as batches:
                assert sum(batch.num_rows for batch in batches) == rows

        def snapshot() -> None:
            with warehouse.batches(QUERY, key=("id",)) as batches:
                store = SnapshotStore(str(folder / "store"))
                assert store.write("orders", batches, Recipe(QUERY, ("id",)), as_of=datetime.now(UTC)).rows == rows

        def row_by_row() -> None:
            read = 0
            with engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH_ROWS) as connection:
                for found in connection.exec_driver_sql(ORDERED).partitions(BATCH_ROWS):
                    columns = [pa.array(values) for values in zip(*found, strict=True)]
                    read += len(columns[0])
            assert read == rows

        times = dict(
            zip(
                ("driver", "ours", "snapshot", "rows of SQLAlchemy"),
                medians(rounds, driver, ours, snapshot, row_by_row),
                strict=True,
            )
        )
    for name, taken in times.items():
        click.echo(Figure(f"{name}: thousand rows per second", rows / taken / 1000, "").line())
    click.echo(at_least("ours, times rows of SQLAlchemy", times["rows of SQLAlchemy"] / times["ours"], "", 4).line())
    click.echo(at_least("ours, of the driver alone", times["driver"] / times["ours"], "", 0.9).line())
    click.echo(
        at_least("a verified snapshot, of the driver alone", times["driver"] / times["snapshot"], "", 0.7).line()
    )


if __name__ == "__main__":
    main()
