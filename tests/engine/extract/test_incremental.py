"""Incremental extracts: a watermark makes the next snapshot the last one plus what changed since."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandera.pandas as pandera
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import extract
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.rows.conform import RowKeyError
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotError, SnapshotStore
from penstock.verify.verify import verify
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.opening import open_warehouse
from tests.engine.publishing import declared, write

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TABLE = "CREATE TABLE events (id BIGINT, kind VARCHAR, value INTEGER, changed TIMESTAMPTZ)"
Row = tuple[int, str, int, datetime | None]


class Source:
    """A warehouse with one table, and the store that it is extracted into."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, now_override=START)
        self.store = SnapshotStore(self.settings.snapshots)
        self.now = START
        home.mkdir(parents=True, exist_ok=True)
        self.run(f"DROP TABLE IF EXISTS events; {TABLE}")

    def run(self, statement: str, rows: list[Row] | None = None) -> None:
        with duckdb.connect(str(self.settings.warehouse_file)) as connection:
            if rows is None:
                connection.execute(statement)
            elif rows:
                connection.executemany(statement, rows)

    def put(self, *rows: Row) -> None:
        for row in rows:
            self.run(f"DELETE FROM events WHERE id = {row[0]} AND kind = '{row[1]}'")
        self.run("INSERT INTO events VALUES (?, ?, ?, ?)", list(rows))

    def extract(self, **more: Any) -> Any:
        return extract(events(**more), open_warehouse(self.settings), self.store, self.now)


def events(**more: Any) -> ReplicatedTable:
    return replace(declared("events", ("kind", "id"), watermark="changed"), query="SELECT * FROM events", **more)


def rows_in(snapshot: Any) -> list[Row]:
    return [tuple(row.values()) for row in snapshot.batches().read_all().to_pylist()]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that the warehouse was asked."""
    heard: list[str] = []
    batches: Callable[..., Any] = DuckDBWarehouse.batches

    def listen(self: DuckDBWarehouse, query: str, *rest: Any, **more: Any) -> Any:
        heard.append(query)
        return batches(self, query, *rest, **more)

    monkeypatch.setattr(DuckDBWarehouse, "batches", listen)
    return heard


def test_only_what_changed_is_asked_for_until_a_full_extract_is_due(source: Source, asked: list[str]) -> None:
    source.put((1, "a", 10, START), (2, "a", 20, START + DAY), (3, "b", 30, START))
    first = source.extract()
    source.put((2, "a", 21, START + DAY), (4, "a", 40, START + 2 * DAY), (0, "z", 0, None))
    source.run("DELETE FROM events WHERE id = 3")
    source.now = START + DAY / 2
    second = source.extract()
    assert [row[:3] for row in rows_in(second)] == [(1, "a", 10), (2, "a", 21), (4, "a", 40), (3, "b", 30), (0, "z", 0)]
    assert (first.full_as_of, second.full_as_of, second.as_of) == (START, START, source.now)

    source.now = START + DAY
    third = source.extract()
    assert [row[:3] for row in rows_in(third)] == [(1, "a", 10), (2, "a", 21), (4, "a", 40), (0, "z", 0)]
    assert third.full_as_of == source.now
    assert ["WHERE" in query for query in asked] == [False, True, False]


def test_nothing_new_is_the_same_snapshot(source: Source) -> None:
    source.put((1, "a", 10, START))
    first = source.extract()
    source.now += timedelta(hours=1)
    again = source.extract()
    assert again.id == first.id
    assert source.store.latest("events").as_of == source.now


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.run("ALTER TABLE events ADD COLUMN more INTEGER"),
        lambda source: source.run("ALTER TABLE events ALTER value TYPE BIGINT"),
        lambda source: source.run("ALTER TABLE events ALTER changed TYPE BIGINT USING epoch_us(changed)"),
    ],
    ids=["new column", "other type", "other watermark"],
)
def test_other_columns_make_a_full_extract(source: Source, change: Callable[[Source], None]) -> None:
    source.put((1, "a", 10, START), (2, "a", 20, START + DAY))
    source.extract()
    change(source)
    source.run("DELETE FROM events WHERE id = 1")
    source.now += timedelta(hours=1)
    assert source.extract().rows == 1


def test_a_watermark_that_is_no_column_is_refused(source: Source) -> None:
    with pytest.raises(PenstockError, match=r"watermark 'later' of table 'events'.* no such column"):
        source.extract(watermark="later")
    assert source.store.latest("events") is None


def test_a_key_that_changed_twice_is_refused_and_named(source: Source) -> None:
    source.put((1, "a", 10, START))
    source.extract()
    source.run(f"INSERT INTO events VALUES (5, 'a', 1, '{START + DAY}'), (5, 'a', 2, '{START + DAY}')")
    with pytest.raises(RowKeyError, match="key kind=a, id=5"):
        source.extract()
    assert source.store.latest("events").rows == 1


def test_a_damaged_snapshot_never_becomes_part_of_the_next(source: Source, tmp_path: Path) -> None:
    source.put((1, "a", 10, START), (2, "a", 20, START))
    first = source.extract()
    twin = write(
        SnapshotStore(str(tmp_path / "twin")),
        first.batches().read_all().set_column(2, "value", pa.array([10, 99], pa.int32())),
        "events",
        ("kind", "id"),
    )
    Path(first.paths[0]).write_bytes(Path(twin.paths[0]).read_bytes())
    with pytest.raises(SnapshotError, match="stored file was changed"):
        source.extract()
    assert source.store.latest("events").id == first.id


@pytest.mark.slow
def test_what_was_merged_is_published_and_verified(source: Source, book: Book) -> None:
    source.put(*((i, "a", i, START) for i in range(50)))
    publish(source.extract(), events(), [book], who="me")
    source.put((7, "a", 70, START + DAY), (99, "a", 99, START + DAY))
    second = source.extract()
    publish(second, events(), [book], who="me")
    (found,) = verify([book], source.store)
    assert (found.equal, found.snapshot, found.rows) == (True, second.id, 51)


def test_rows_as_they_were_are_no_changes(source: Source) -> None:
    source.put((1, "a", 10, START), (2, "a", 20, START), (3, "a", 30, None))
    first = source.extract(largest_delta=9)
    source.now += timedelta(hours=1)
    source.put((4, "a", 40, START))
    second = source.extract(largest_delta=9)
    assert (second.base.id, second.file_rows, second.rows) == (first.id, 1, 4)
    source.put((3, "a", 31, None))
    third = source.extract(largest_delta=9)
    assert (third.file_rows, third.rows) == (2, 4)
    source.put((3, "a", 30, None))
    assert source.extract(largest_delta=9).id == second.id
    assert source.extract(largest_delta=9).manifest.how == "only changes were extracted"


def test_too_many_changes_or_another_shape_make_a_full_extract(source: Source) -> None:
    source.put(*((i, "a", i, START) for i in range(10)))
    first = source.extract()
    source.put(*((i, "a", -i, START + DAY) for i in range(3)))
    second = source.extract()
    assert (second.base.id, second.file_rows) == (first.id, 3)
    assert source.extract(largest_delta=0.5).base.id == first.id
    assert source.extract().base is None
    other = pandera.DataFrameSchema({"value": pandera.Column(checks=pandera.Check.lt(100))})
    assert source.extract().base is None
    assert source.extract(shape=other).base is None


def test_a_snapshot_on_a_base_streams_like_any_other(source: Source) -> None:
    source.put(*((i, "a", i, START) for i in range(20)))
    source.extract()
    source.put((7, "a", 70, START + DAY), (99, "a", 99, START + DAY))
    second = source.extract()
    assert SnapshotStore(source.store.url).open(second.id).batches().read_all().num_rows == second.rows == 21
    values = second.batches(columns=["value"]).read_all()
    assert (values.column_names, values["value"][7].as_py(), values["value"][20].as_py()) == (["value"], 70, 99)


def test_the_same_version_is_not_extracted_again(source: Source, asked: list[str]) -> None:
    version = "SELECT count(*), max(changed) FROM events"
    source.put((1, "a", 10, START))
    plain = {"watermark": "", "version_query": version}
    first = source.extract(**plain)
    source.now += timedelta(hours=1)
    again = source.extract(**plain)
    assert (again.id, again.as_of, again.manifest.how) == (first.id, source.now, "skipped before extracting")
    assert source.store.latest("events").as_of == source.now
    assert [query == version for query in asked] == [True, False, True]
    assert source.extract(**plain, largest_drop=0.1).manifest.how == "skipped before extracting"
    source.put((2, "a", 20, START + DAY))
    assert source.extract(**plain).rows == 2
    assert source.extract(**{**plain, "version_query": version + " "}).manifest.how == "the whole table was extracted"
    assert source.extract(**{**plain, "key": ("id",)}).manifest.how == "the whole table was extracted"


def test_what_is_due_is_extracted_whatever_the_version_says(source: Source) -> None:
    source.put((1, "a", 10, START), (2, "a", 20, START))
    source.extract(version_query="SELECT 1")
    source.run("DELETE FROM events WHERE id = 1")
    source.now += DAY / 2
    assert source.extract(version_query="SELECT 1").rows == 2
    source.now += DAY / 2
    assert source.extract(version_query="SELECT 1").rows == 1


ids = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), ids, st.integers(0, 99), st.integers(0, 3)),
        st.tuples(st.just("delete"), ids),
        st.tuples(st.just("extract"), st.booleans()),
    ),
    max_size=14,
)


@pytest.mark.slow
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_the_rule_holds_for_any_history(steps: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The model: a full extract is the table; the next ones are the last snapshot, overwritten by every row whose
    watermark is at least the greatest in it."""
    source = Source(tmp_path_factory.mktemp("history"))
    table: dict[int, Row] = {}
    last: dict[int, Row] | None = None
    for step in [*steps, ("extract", False)]:
        if step[0] == "put":
            row = (step[1], "k", step[2], START + step[3] * DAY)
            table[step[1]] = row
            source.put(row)
        elif step[0] == "delete":
            table.pop(step[1], None)
            source.run(f"DELETE FROM events WHERE id = {step[1]}")
        else:
            full = step[1] or not last
            since = max(row[3] for row in last.values()) if last else None
            last = dict(table) if full else last | {i: row for i, row in table.items() if row[3] >= since}
            source.now += timedelta(minutes=1)
            found = source.extract(full_every=timedelta(0) if full else DAY, largest_delta=10)
            assert rows_in(found) == [last[i] for i in sorted(last)]
            assert found.rows == len(last)
