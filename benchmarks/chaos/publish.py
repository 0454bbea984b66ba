"""Publishers killed at random moments, and switches under readers: counts what was lost, which should be nothing."""

import json
import multiprocessing as mp
import random
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any

import click
import pandera.pandas as pandera
import psycopg
import pyarrow as pa
from psycopg import sql

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.publish.publish import publish
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.verify.verify import verify

TABLE = ReplicatedTable(
    "chaos", "SELECT * FROM chaos", ("key",), pandera.DataFrameSchema(), indexes=[("part",)], largest_drop=1.0
)
Whole = tuple[int, int, int]
"""Rows, different values, and their sum: no two snapshots, and no part or mixture of them, agree in it."""
BLOCK = 200
"""Single-row lookups between two reads of the whole table."""


def snapshots(store: SnapshotStore, rows: int) -> list[Snapshot]:
    """Two whole snapshots of `rows` rows that differ in every row, and in between two that change every fiftieth row
    of the first, and so are published on top of it."""

    def content(value: int, keys: range) -> pa.Table:
        return pa.table(
            {
                "key": pa.array(keys, pa.int64()),
                "part": pa.array((i % 97 for i in keys), pa.int32()),
                "value": pa.array([value] * len(keys), pa.int64()),
                "text": pa.array([f"row {i}" for i in keys]),
            }
        )

    now, recipe = datetime.now(UTC), Recipe("", ("key",))
    first, last = (
        store.write("chaos", content(value, range(rows)).to_reader(), recipe, as_of=now) for value in (1, 1_000_003)
    )
    changed = [
        store.write_changes(first, content(value, range(0, rows, 50)).to_batches(), lambda _: rows, recipe, as_of=now)
        for value in (10, 1_000)
    ]
    return [first, *changed, last]


def whole(stored: list[Snapshot]) -> list[Whole]:
    """What a reader of a whole table may find."""
    found = []
    for one in stored:
        values = one.batches(columns=["value"]).read_all()["value"].to_pylist()
        found.append((len(values), len(set(values)), sum(values)))
    return found


def publish_forever(store_url: str, ids: list[str], book_url: str, started: Event) -> None:
    """The process that is killed."""
    store, book = SnapshotStore(store_url), Book("test", book_url)
    stored = [store.open(snapshot) for snapshot in ids]
    started.set()
    while True:
        for snapshot in stored:
            publish(snapshot, TABLE, [book], who="chaos")


def read(
    book_url: str, wholes: list[Whole], by_view: bool, stop: Event, done: Semaphore, found: "mp.Queue[Counter[str]]"
) -> None:
    """Read single rows and whole tables until told to stop; counts reads, errors, gaps and mixtures."""
    counts: Counter[str] = Counter({"lookups": 0, "whole tables": 0, "mixtures or gaps": 0, "rows not found": 0})
    moments = random.Random(by_view)
    with psycopg.connect(book_url, autocommit=True) as connection:
        connection.execute("SET ROLE replicated_reader")
        while not stop.is_set():
            try:
                _read_block(connection, wholes, by_view, moments, counts)
            except psycopg.Error as error:
                counts[f"error {type(error).__name__}"] += 1
            done.release()
    found.put(counts)


def _read_block(
    connection: psycopg.Connection, wholes: list[Whole], by_view: bool, moments: random.Random, counts: Counter[str]
) -> None:
    everything = sql.SQL("SELECT count(*), count(DISTINCT value), sum(value)::bigint FROM {}")
    found = connection.execute(everything.format(_relation(connection, by_view))).fetchone()
    counts["mixtures or gaps"] += found not in wholes
    counts["whole tables"] += 1
    for _ in range(BLOCK):
        one = sql.SQL("SELECT key FROM {} WHERE key = %s").format(_relation(connection, by_view))
        key = moments.randrange(wholes[0][0])
        counts["rows not found"] += connection.execute(one, (key,)).fetchone() != (key,)
        counts["lookups"] += 1


def _relation(connection: psycopg.Connection, by_view: bool) -> sql.Identifier:
    """What to read: the view, or the physical table that the pointer names now."""
    if by_view:
        return sql.Identifier("replicated", "chaos")
    row = connection.execute("SELECT physical FROM replicated.current WHERE table_name = 'chaos'").fetchone()
    return sql.Identifier("replicated", row[0] if row else "no pointer")


def kill(count: int, store: SnapshotStore, stored: list[Snapshot], book: Book) -> dict[str, int]:
    """Kill `count` publishers; after each the current table must be whole, and the next publish must clean up."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["penstock.publish.publish"])
    counts = {"kills": 0, "current tables not whole": 0, "leftovers": 0}
    moments = random.Random()
    for number in range(count):
        started = context.Event()
        victim = context.Process(
            target=publish_forever, args=(store.url, [one.id for one in stored], book.url, started), daemon=True
        )
        victim.start()
        started.wait(60)
        time.sleep(moments.uniform(0, 0.6))
        victim.kill()
        victim.join()
        counts["kills"] += 1
        counts["current tables not whole"] += not all(found.equal for found in verify([book], store))
        publish(stored[number % len(stored)], TABLE, [book], who="chaos")
        counts["leftovers"] += _leftovers(book)
    return counts


def switch(count: int, lookups: int, stored: list[Snapshot], book: Book) -> dict[str, int | float]:
    """Switch until there were `count` switches and `lookups` lookups by two readers of view and pointer each."""
    context = mp.get_context("forkserver")
    stop, done = context.Event(), context.Semaphore(0)
    found: mp.Queue[Counter[str]] = context.Queue()
    readers = [
        context.Process(target=read, args=(book.url, whole(stored), number % 2 == 0, stop, done, found))
        for number in range(4)
    ]
    for reader in readers:
        reader.start()
    started, switches, blocks = time.monotonic(), 0, 0
    while switches < count or blocks * BLOCK < lookups:
        publish(stored[switches % len(stored)], TABLE, [book], who="chaos")
        switches += 1
        while done.acquire(block=False):
            blocks += 1
    seconds = time.monotonic() - started
    stop.set()
    total: Counter[str] = Counter()
    for _ in readers:
        total.update(found.get(timeout=60))
    for reader in readers:
        reader.join()
    return {"switches": switches, "seconds": round(seconds, 1), **total}


def _leftovers(book: Book) -> int:
    with book.connect() as connection:
        row = connection.execute(
            """SELECT count(*) FROM pg_class WHERE relnamespace = 'replicated'::regnamespace AND relkind = 'r'
               AND relname LIKE 'chaos%' AND relname NOT IN (SELECT physical FROM replicated.publication)
               AND relname NOT IN (SELECT delta FROM replicated.physical_table JOIN replicated.publication
                                   USING (physical) WHERE delta IS NOT NULL)"""
        ).fetchone()
    return int(row[0]) if row else 0


@click.command(epilog="Example: python -m benchmarks.chaos.publish --kills 20 --switches 100 --lookups 20000")
@click.option("--kills", default=200, show_default=True, help="Publishers to kill at random moments.")
@click.option("--switches", default=1000, show_default=True, help="Least switches under readers.")
@click.option("--lookups", default=200_000, show_default=True, help="Least lookups meanwhile.")
@click.option("--rows", default=20_000, show_default=True, help="Rows of the table.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(*, kills: int, switches: int, lookups: int, rows: int, as_json: bool) -> None:
    """Kill publishers, then switch under readers, in a server made for it; ends with 1 if anything was lost."""
    with tempfile.TemporaryDirectory(prefix="penstock-chaos-") as folder:
        server = PostgresServer(Path(folder, "data"), Path(folder, "log"), {**DEFAULTS, "fsync": "off"})
        server.start()
        try:
            book = Book("test", server.url("postgres"))
            book.migrate()
            store = SnapshotStore(str(Path(folder, "snapshots")))
            stored = snapshots(store, rows)
            publish(stored[0], TABLE, [book], who="chaos")
            counts: dict[str, dict[str, Any]] = {
                "killed": kill(kills, store, stored, book),
                "switched": switch(switches, lookups, stored, book),
            }
        finally:
            server.stop()
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for part, found in counts.items():
            click.echo(f"{part}: " + ", ".join(f"{value:,} {name}" for name, value in found.items()))
    lost = {"current tables not whole", "leftovers", "mixtures or gaps", "rows not found"}
    every = [(name, value) for found in counts.values() for name, value in found.items()]
    if any(value for name, value in every if name in lost or name.startswith("error")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
