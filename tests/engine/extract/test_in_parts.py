"""A large extract is read in parts of one state of the data, and goes on with those that are done."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract import in_parts
from penstock.extract.extract import extract
from penstock.extract.in_parts import whole_result
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.parts import ranges_of
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.checkout import ROOT
from tests.engine.publishing import declared

ROWS, PART_ROWS = 40_000, 5_000
MADE = f"""
CREATE TABLE orders (id bigint PRIMARY KEY, day date NOT NULL, at timestamptz, name text, share double precision);
INSERT INTO orders SELECT n * n, date '2020-01-01' + (n % 900)::int, timestamptz '2026-01-01' + n * interval '1 min',
    'é ' || n % 77, random() FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE version (n int); INSERT INTO version VALUES (1);
ANALYZE
"""
NOW = datetime(2026, 11, 22, tzinfo=UTC)
VERSION = "SELECT max(n) FROM version"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    made = new_database()
    run(made, MADE)
    return made


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_parts, "cores", lambda: in_parts.MANY_CORES)


def run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def all_ended(url: str, within: float) -> bool:
    """Whether Postgres has no connection left but this one; one that was closed is listed for moments longer."""
    others = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    until = time.monotonic() + within
    with psycopg.connect(url, autocommit=True) as connection:
        while (ended := connection.execute(others).fetchone() == (0,)) is False and time.monotonic() < until:
            time.sleep(0.05)
    return ended


def orders(query: str = "SELECT * FROM orders", **more: Any) -> ReplicatedTable:
    return replace(declared("orders", ("id",)), query=query, **more)


def warehouse(url: str, part_rows: int = PART_ROWS) -> PostgresWarehouse:
    return PostgresWarehouse(url, part_rows=part_rows)


def store(folder: Path) -> SnapshotStore:
    return SnapshotStore(str(folder / "snapshots"))


@pytest.fixture
def taken(url: str, tmp_path: Path) -> Callable[..., Snapshot]:
    """Extracts orders, in parts of that many rows, into a store below a folder of the test."""

    def take(place: str, part_rows: int, table: ReplicatedTable | None = None) -> Snapshot:
        return extract(table or orders(), warehouse(url, part_rows), store(tmp_path / place), NOW)

    return take


def parts_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("parts/*/*/*.parquet"))


@pytest.mark.slow
def test_a_large_table_is_cut_into_ranges_of_like_size_that_leave_nothing_out(url: str) -> None:
    ranges = ranges_of(warehouse(url), "SELECT * FROM orders", ("id",))
    assert len(ranges) == ROWS // PART_ROWS
    assert (ranges[0].low, ranges[-1].high) == ("", "")
    assert [one.high for one in ranges[:-1]] == [one.low for one in ranges[1:]]
    with warehouse(url).parts("SELECT * FROM orders", ranges, key=("id",)) as reader:
        assert reader.identity is None
        sizes = [rows_in(reader, one) for one in ranges]
    assert sum(sizes) == ROWS
    assert PART_ROWS / 2 < min(sizes) < max(sizes) < PART_ROWS * 2


def rows_in(reader: Any, wanted: Any) -> int:
    with reader.read(wanted, 0, Event()) as batches:
        return int(batches.read_all().num_rows)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM orders LIMIT 30000",
        "SELECT *, now() AS n FROM orders",
        "SELECT * FROM orders WHERE at < now()",
        "SELECT * FROM orders WHERE at < CURRENT_TIMESTAMP",
        "SELECT * FROM orders WHERE at < 'now'::timestamptz + interval '1 year'",
        "SELECT *, random() AS r FROM orders",
        "SELECT *, row_number() OVER (ORDER BY name) AS r FROM orders",
        "SELECT nullif(id, 1) AS id FROM orders",
        "SELECT id::text AS id FROM orders",
    ],
)
def test_what_parts_might_see_differently_is_read_at_once(url: str, query: str) -> None:
    assert ranges_of(warehouse(url), query, ("id",)) == []


def test_a_view_is_cut_too_and_a_key_without_an_index_into_fewer_parts(url: str) -> None:
    run(url, "CREATE VIEW seen AS SELECT id, day, upper(name) AS name FROM orders WHERE day > '2020-01-02'")
    assert len(ranges_of(warehouse(url), "SELECT * FROM seen", ("id",))) > 2
    run(url, "ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    assert len(ranges_of(warehouse(url, 500), "SELECT * FROM orders", ("id",))) < 8 < ROWS / 500


@pytest.mark.slow
@pytest.mark.parametrize("key", [("day", "id"), ("at", "id")])
def test_days_and_instants_are_cut(url: str, tmp_path: Path, taken: Callable[..., Snapshot], key: Any) -> None:
    run(url, f"CREATE INDEX ON orders ({', '.join(key)})")
    table = orders(key=key)
    assert len(ranges_of(warehouse(url), table.query, key)) >= 2
    assert taken("parts", PART_ROWS, table).id == taken("once", ROWS, table).id


def test_in_parts_it_is_the_snapshot_that_it_is_at_once(tmp_path: Path, taken: Callable[..., Snapshot]) -> None:
    in_parts, at_once = taken("parts", PART_ROWS), taken("once", ROWS)
    assert in_parts.rows == ROWS
    assert in_parts.id == at_once.id
    assert not parts_in(tmp_path)


@pytest.mark.slow
def test_all_parts_are_of_one_state_of_the_data(url: str) -> None:
    ranges = ranges_of(warehouse(url), "SELECT * FROM orders", ("id",))
    with warehouse(url).parts("SELECT * FROM orders", ranges, key=("id",)) as reader:
        first = rows_in(reader, ranges[0])
        run(url, "DELETE FROM orders WHERE id > 100; INSERT INTO orders VALUES (5, '2020-01-01')")
        assert first + sum(rows_in(reader, one) for one in ranges[1:]) == ROWS


def test_a_part_that_fails_ends_the_others(url: str, tmp_path: Path, taken: Callable[..., Snapshot]) -> None:
    run(url, f"UPDATE orders SET at = 'infinity' WHERE id = {ROWS}::bigint * {ROWS}")
    with pytest.raises(WarehouseError, match="column 'at'"):
        taken("parts", PART_ROWS)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["", VERSION])
def test_an_interrupt_ends_the_queries_of_all_parts_and_keeps_what_can_be_gone_on_with(
    url: str, tmp_path: Path, version: str
) -> None:
    run(url, "UPDATE orders SET name = repeat(name, 500)")  # so that no part is read before it is interrupted
    table = orders(version_query=version)

    def interrupted() -> None:
        with whole_result(warehouse(url), table, store(tmp_path)) as batches:
            batches.read_next_batch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all_ended(url, within=10)
    assert bool(parts_in(tmp_path)) == bool(version)


PROGRAM = """
import os, sys, time
from pathlib import Path
from penstock.extract import in_parts
from penstock.extract.extract import extract
from penstock.snapshots.parts import PartFiles
from penstock.warehouse import parts
from tests.engine.extract import test_in_parts as tests

url, folder, version = sys.argv[1:]
write, done = PartFiles.write, []
in_parts.cores = lambda: in_parts.MANY_CORES

def slow(self, part, batches):
    if len(done) >= 3:
        os.write(1, b"three parts\\n")  # whole, whichever thread is first
        time.sleep(600)
    found = write(self, part, batches)
    done.append(part)
    return found

PartFiles.write = slow
extract(tests.orders(version_query=version), tests.warehouse(url), tests.store(Path(folder)), tests.NOW)
"""


def killed(url: str, folder: Path, version: str) -> list[Path]:
    """The parts that an extract has left which was killed when three were done."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(folder), version], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "three parts\n"
        time.sleep(0.5)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    left = parts_in(folder)
    assert len(left) >= 3
    return left


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the parts that are read from the warehouse in this process."""
    from penstock.snapshots.parts import PartFiles

    write, found = PartFiles.write, list[int]()

    def noted(self: PartFiles, part: int, batches: Any) -> int:
        found.append(part)
        return write(self, part, batches)

    monkeypatch.setattr(PartFiles, "write", noted)
    return found


@pytest.mark.slow
def test_a_killed_extract_goes_on_with_the_parts_that_are_done(
    url: str, tmp_path: Path, taken: Callable[..., Snapshot], read: list[int]
) -> None:
    left = killed(url, tmp_path / "parts", VERSION)
    run(url, "ANALYZE")
    found = taken("parts", PART_ROWS, orders(version_query=VERSION))
    assert len(read) == ROWS // PART_ROWS - len(left)
    assert found.id == taken("once", ROWS).id
    assert not parts_in(tmp_path)
    assert not list((tmp_path / "parts" / "snapshots" / "parts").rglob("*.*"))


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["version", "query", "nothing, but no version is declared"])
def test_parts_of_another_state_of_the_data_are_not_gone_on_with(
    url: str, tmp_path: Path, taken: Callable[..., Snapshot], read: list[int], changed: str
) -> None:
    version = "" if changed.startswith("nothing") else VERSION
    killed(url, tmp_path / "parts", version)
    table = orders(version_query=version)
    if changed == "version":
        run(url, "UPDATE orders SET share = -share; UPDATE version SET n = 2")
    if changed == "query":
        table = replace(table, query="SELECT id, day, at, name, -share AS share FROM orders")
    found = taken("parts", PART_ROWS, table)
    assert sorted(read) == list(range(len(read)))
    assert len(read) >= ROWS // PART_ROWS
    assert found.id == taken("once", ROWS, table).id
    assert not parts_in(tmp_path)


@pytest.mark.slow
def test_a_damaged_part_is_noticed_and_all_are_removed(
    url: str, tmp_path: Path, taken: Callable[..., Snapshot]
) -> None:
    left = killed(url, tmp_path / "parts", VERSION)
    content = bytearray(left[0].read_bytes())
    for place in random.Random(1).sample(range(len(content) // 4, len(content) // 2), 50):
        content[place] ^= 0xFF
    left[0].write_bytes(content)
    with pytest.raises(PenstockError, match=r"part \d of 8 of an extract.*extract the table again"):
        taken("parts", PART_ROWS, orders(version_query=VERSION))
    assert not parts_in(tmp_path)
    assert taken("parts", PART_ROWS, orders(version_query=VERSION)).rows == ROWS
    assert store(tmp_path / "parts").latest("orders") is not None
