"""Publish one table of any DuckDB file into any Postgres, by the code path of the assets, and measure it."""

import getpass
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import pandera.pandas as pa
from psycopg import sql

from benchmarks.figures import peak_rss_mb
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse

DUCKDB_MEMORY = "64MB"
"""DuckDB sorts beyond this on disk: the extract runs in the process whose memory is measured."""


@dataclass(frozen=True)
class Measurement:
    """One publish. `seconds` is load, index, feasibility and switch; `verify_seconds` comes on top of it, as does
    `extract_seconds`, the time from the first row of the query to the stored snapshot."""

    rows: int
    seconds: float
    verify_seconds: float
    extract_seconds: float
    load_seconds: float
    index_seconds: float
    peak_rss_mb: float
    digest: str
    skipped: bool


def measure(
    file: Path, table: str, key: tuple[str, ...], indexes: tuple[tuple[str, ...], ...], dsn: str
) -> Measurement:
    """Extract `table` of the DuckDB `file`, publish it into the book at `dsn`, and say how it went."""
    book = Book("test", dsn)
    book.migrate()
    forget(book, table)
    quoted = '"' + table.replace('"', '""') + '"'
    declared = ReplicatedTable(
        table, f"SELECT * FROM {quoted}", key, pa.DataFrameSchema(), indexes=indexes, minimum_rows=0, largest_drop=1.0
    )
    with tempfile.TemporaryDirectory(prefix="penstock-publish-") as folder:
        started = time.perf_counter()
        with DuckDBWarehouse(str(file), memory=DUCKDB_MEMORY).batches(declared.query, key=key) as batches:
            snapshot = SnapshotStore(folder).write(table, batches, Recipe(declared.query, key), as_of=datetime.now(UTC))
        extracted = time.perf_counter()
        (published,) = publish(snapshot, declared, [book], who=getpass.getuser())
        total = time.perf_counter() - extracted
    return Measurement(
        rows=snapshot.rows,
        seconds=round(total - published.seconds.verify, 3),
        verify_seconds=round(published.seconds.verify, 3),
        extract_seconds=round(extracted - started, 3),
        load_seconds=round(published.seconds.load, 3),
        index_seconds=round(published.seconds.index, 3),
        peak_rss_mb=round(peak_rss_mb(), 1),
        digest=snapshot.id,
        skipped=published.skipped,
    )


def forget(book: Book, table: str) -> None:
    """Drop what earlier measurements left of the table, so that equal content is loaded again."""
    with book.connect() as connection:
        connection.execute("DELETE FROM replicated.current WHERE table_name = %s", (table,))
        gone = connection.execute(
            "DELETE FROM replicated.physical_table WHERE table_name = %s RETURNING physical", (table,)
        ).fetchall()
        for (name,) in gone:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier("replicated", name)))


@click.command(
    epilog="Example: python -m benchmarks.publish --duckdb w.duckdb --table flights --key id --dsn postgresql:///b"
)
@click.option("--duckdb", "file", type=click.Path(exists=True, path_type=Path), help="The DuckDB file to read.")
@click.option("--table", help="The table in it; becomes replicated.TABLE.")
@click.option("--key", help="Its unique columns, separated by commas.")
@click.option(
    "--index", "indexes", multiple=True, help="Columns of one further index, separated by commas; repeatable."
)
@click.option("--dsn", help="The libpq URL of the Postgres database to publish into.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--compare", is_flag=True, help="Compare with the limit, pandas and dlt instead, interleaved.")
@click.option("--dlt", is_flag=True, help="With --compare: install dlt into a virtual environment of its own.")
@click.option("--rows", default=5_000_000, show_default=True, help="With --compare: rows of the synthetic table.")
@click.option(
    "--larger", default=20_000_000, show_default=True, help="With --compare: rows whose memory is measured; 0: not."
)
@click.option("--rounds", default=3, show_default=True, help="With --compare: rounds of which the median counts.")
def main(
    file: Path | None,
    table: str | None,
    key: str | None,
    indexes: tuple[str, ...],
    dsn: str | None,
    *,
    as_json: bool,
    compare: bool,
    dlt: bool,
    rows: int,
    larger: int,
    rounds: int,
) -> None:
    """Publish TABLE of a DuckDB file into a Postgres and print rows, seconds, memory and digest.

    Without a table, compare publishing with its limit, pandas and dlt.
    """
    if compare or not (file or table or key):
        from benchmarks.publish.comparison import compare_all

        compare_all(rows, larger, rounds, dsn, dlt=dlt, as_json=as_json)
        return
    if file is None or table is None or key is None or dsn is None:
        raise click.UsageError("give --duckdb, --table, --key and --dsn, or none of them")
    measured = measure(file, table, tuple(key.split(",")), tuple(tuple(i.split(",")) for i in indexes), dsn)
    if as_json:
        click.echo(json.dumps(measured.__dict__))
    else:
        for name, value in measured.__dict__.items():
            click.echo(f"{name:16} {value}")


if __name__ == "__main__":
    main()
