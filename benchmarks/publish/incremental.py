"""1% changed rows of a large table: extract, snapshot and publish, incremental beside full, interleaved."""

import json
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

import click
import duckdb
import pandera.pandas as pandera
from rich.console import Console
from rich.table import Table

from benchmarks.publish.tables import write_synthetic
from penstock.declare.table import ReplicatedTable
from penstock.extract.extract import extract
from penstock.postgres.book import Book
from penstock.postgres.server import PostgresServer
from penstock.publish.publish import publish
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.warehouse.opening import open_warehouse

TABLE = ReplicatedTable(
    "synthetic",
    "SELECT * FROM synthetic",
    ("id",),
    pandera.DataFrameSchema(),
    indexes=[("part",)],
    watermark="changed",
    full_every=timedelta(days=365),
)
CHANGE = """
    UPDATE synthetic SET amount = $round, changed = TIMESTAMPTZ '2027-01-01' + to_days($round)
    WHERE hash(id + 7919 * $round) % 100 = 0
"""


@dataclass(frozen=True)
class Measurement:
    """One way to the books. `rows` were loaded into each."""

    rows: int
    extract_seconds: float
    publish_seconds: float

    @property
    def seconds(self) -> float:
        """Both."""
        return self.extract_seconds + self.publish_seconds


def measured(settings: Settings, table: ReplicatedTable, books: list[Book]) -> Measurement:
    """Extract and publish into all books."""
    warehouse, store = open_warehouse(settings), SnapshotStore(settings.snapshots)
    started = time.perf_counter()
    snapshot = extract(table, warehouse, store, settings.now())
    extracted = time.perf_counter()
    published = publish(snapshot, table, books, who="benchmark")
    done = time.perf_counter()
    return Measurement(published[0].loaded, extracted - started, done - extracted)


def compare(rows: int, rounds: int, folder: Path, url: str) -> dict[str, list[Measurement]]:
    """Rounds of 1% changed rows, each published in full and incrementally, into books of their own."""
    settings = Settings(home=folder)
    settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
    write_synthetic(settings.warehouse_file, rows)
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.execute("ALTER TABLE synthetic ADD COLUMN changed TIMESTAMPTZ DEFAULT '2026-01-01 00:00:00Z'")
    sides = {}
    for side, declared in (("full", replace(TABLE, watermark="")), ("incremental", TABLE)):
        book = Book("test", url.replace("/postgres?", f"/{side}?"))
        _create(url, side)
        book.migrate()
        sides[side] = (Settings(home=folder / side, warehouse_url=f"duckdb:///{settings.warehouse_file}"), declared)
        measured(*sides[side], [book])
    found: dict[str, list[Measurement]] = {side: [] for side in sides}
    for number in range(1, rounds + 1):
        with duckdb.connect(str(settings.warehouse_file)) as connection:
            connection.execute(CHANGE.replace("$round", str(number)))
        for side in sides if number % 2 else reversed(sides):
            book = Book("test", url.replace("/postgres?", f"/{side}?"))
            found[side].append(measured(*sides[side], [book]))
    full, incremental = (SnapshotStore(sides[side][0].snapshots).latest("synthetic") for side in sides)
    if full is None or incremental is None or full.rows != incremental.rows:
        raise SystemExit("the two ways do not give the same rows")
    return found


def _create(url: str, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@click.command(epilog="Example: python -m benchmarks.publish.incremental --rows 500000")
@click.option("--rows", default=5_000_000, show_default=True, help="Rows of the table, of which 1% change per round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of which the median counts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(*, rows: int, rounds: int, as_json: bool) -> None:
    """Compare a full with an incremental publish of 1% changed rows at random keys, the whole way and the last step."""
    with tempfile.TemporaryDirectory(prefix="penstock-incremental-") as folder:
        server = PostgresServer(Path(folder, "data"), Path(folder, "log"))
        server.start()
        try:
            found = compare(rows, rounds, Path(folder, "home"), server.url("postgres"))
        finally:
            server.stop()
    if as_json:
        click.echo(json.dumps({side: [one.__dict__ for one in every] for side, every in found.items()}))
        return
    shown = Table("", "rows loaded", "extract s", "publish s", "all s", title=f"{rows:,} rows, median of {rounds}")
    medians = {}
    for side, every in found.items():
        parts = [median(getattr(one, name) for one in every) for name in ("extract_seconds", "publish_seconds")]
        medians[side] = (*parts, median(one.seconds for one in every))
        shown.add_row(side, f"{every[-1].rows:,}", *(f"{seconds:.2f}" for seconds in medians[side]))
    shown.add_row("ratio", "", *(f"{a / b:.1f}" for a, b in zip(*medians.values(), strict=True)))
    Console().print(shown)


if __name__ == "__main__":
    main()
