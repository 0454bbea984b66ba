"""Rows that lie in the warehouse in the order of their key are not sorted; nothing else tells the difference."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from penstock.extract.extract import extract
from penstock.rows.conform import RowKeyError
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.opening import open_warehouse
from tests.engine.publishing import declared

ROWS = 300_000
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENTS = f"SELECT i AS id, i // 10 AS place, i % 10 AS n, 'é ' || i AS name FROM range({ROWS}) AS t(i)"
LIES = {
    "in order": EVENTS,
    "out of order at once": f"{EVENTS} ORDER BY hash(i)",
    "out of order in the last two rows": f"{EVENTS} ORDER BY CASE WHEN i < {ROWS - 2} THEN i ELSE {2 * ROWS} - i END",
}
KEYS = [("id",), ("place", "n")]


class Source:
    """A DuckDB file with the table `events`, and the store that it is extracted into."""

    def __init__(self, home: Path, rows: str) -> None:
        self.settings = Settings(home=home, now_override=NOW)
        home.mkdir()
        with duckdb.connect(str(self.settings.warehouse_file)) as connection:
            connection.execute(f"CREATE TABLE events AS {rows}")

    def extract(self, key: tuple[str, ...] = ("id",), query: str = "SELECT * FROM events") -> tuple[str, bool]:
        """The id of the snapshot, and whether DuckDB was asked to sort."""
        table = replace(declared("events", key), query=query)
        # A second connection shares the database of the first in one process, and its log of queries with it.
        with DuckDBWarehouse(str(self.settings.warehouse_file), now=NOW).connect(read_only=True) as connection:
            connection.execute("CALL enable_logging('QueryLog')")
            snapshot = extract(table, open_warehouse(self.settings), SnapshotStore(self.settings.snapshots), NOW)
            asked = [row[0] for row in connection.execute("SELECT message FROM duckdb_logs").fetchall()]
        assert any("FROM events" in statement for statement in asked)
        return snapshot.id, any("ORDER BY" in statement for statement in asked)

    def files(self) -> list[str]:
        return sorted(path.name for path in Path(self.settings.snapshots).rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_only_rows_out_of_order_are_sorted_and_the_snapshot_is_the_same(tmp_path: Path, key: tuple[str, ...]) -> None:
    sources = {lies: Source(tmp_path / str(place), rows) for place, (lies, rows) in enumerate(LIES.items())}
    found = {lies: source.extract(key) for lies, source in sources.items()}

    assert [was_sorted for _, was_sorted in found.values()] == [False, True, True]
    assert len({snapshot for snapshot, _ in found.values()}) == 1
    for source in sources.values():
        assert [name for name in source.files() if name == "rows.parquet" or "draft" in name] == ["rows.parquet"]


@pytest.mark.parametrize("lies", LIES)
@pytest.mark.parametrize("last", [False, True], ids=["early", "in the last rows"])
def test_a_repeated_key_is_the_same_error_however_rows_lie(tmp_path: Path, lies: str, last: bool) -> None:
    repeated = ROWS - 1 if last else 7
    source = Source(tmp_path / "home", LIES[lies])
    with duckdb.connect(str(source.settings.warehouse_file)) as connection:
        connection.execute(f"INSERT INTO events SELECT * FROM events WHERE id = {repeated}")

    with pytest.raises(RowKeyError, match=f"key id={repeated} of table 'events'.*found the same key twice"):
        source.extract()
    assert source.files() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "is_sorted"),
    [
        ("SELECT id, upper(name) AS name FROM events WHERE n <> 3", False),
        ("SELECT e.* FROM events AS e JOIN events AS f ON f.id = e.id", True),
        ("SELECT max(id) AS id, place FROM events GROUP BY place", True),
        ("SELECT * FROM events WHERE id >= 5 UNION ALL SELECT * FROM events WHERE id < 5", True),
    ],
    ids=["filtered and computed", "joined", "grouped", "united"],
)
def test_only_one_table_is_asked_for_its_order(tmp_path: Path, query: str, is_sorted: bool) -> None:
    in_order, shuffled = (
        Source(tmp_path / str(place), LIES[lies]).extract(query=query)
        for place, lies in enumerate(["in order", "out of order at once"])
    )

    assert in_order[1] is is_sorted
    assert shuffled == (in_order[0], True)


def test_a_key_that_the_query_does_not_give_is_refused(tmp_path: Path) -> None:
    source = Source(tmp_path / "home", LIES["in order"])
    with pytest.raises(WarehouseError, match="nowhere"):
        source.extract(("nowhere",))


_values = st.none() | st.integers(-3, 3)


@pytest.mark.slow
@hypothesis_settings(max_examples=25)
@given(rows=st.lists(st.tuples(_values, _values), max_size=8), straight=st.booleans())
def test_keys_come_as_sorting_gives_them_with_nulls_and_repeats_too(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int | None, int | None]], straight: bool
) -> None:
    if straight:
        rows = sorted(rows, key=lambda row: tuple((value is None, value or 0) for value in row))
    warehouse = DuckDBWarehouse(str(tmp_path_factory.mktemp("keys") / "w.duckdb"))
    warehouse.prepare("CREATE TABLE t (a INTEGER, b INTEGER)")
    with warehouse.connect() as connection:
        connection.execute("BEGIN")
        for row in rows:
            connection.execute("INSERT INTO t VALUES (?, ?)", row)
        connection.execute("COMMIT")
    with warehouse.batches("SELECT * FROM t", key=("a", "b")) as batches:
        came = batches.read_all()
    with warehouse.batches("SELECT * FROM t ORDER BY a, b") as batches:
        assert came.equals(batches.read_all())


def test_the_order_is_asked_with_the_values_that_are_bound(tmp_path: Path) -> None:
    source = Source(tmp_path / "home", LIES["out of order in the last two rows"])
    warehouse = DuckDBWarehouse(str(source.settings.warehouse_file), now=NOW)
    for until in (ROWS - 2, ROWS):
        with warehouse.batches("SELECT id FROM events WHERE id < :until", {"until": until}, key=("id",)) as batches:
            assert batches.read_all()["id"].to_pylist() == list(range(until))


def test_the_store_proves_the_order_all_the_same(tmp_path: Path) -> None:
    source = Source(tmp_path / "home", LIES["out of order in the last two rows"])
    warehouse = DuckDBWarehouse(str(source.settings.warehouse_file), now=NOW)
    store = SnapshotStore(source.settings.snapshots)
    with (
        warehouse.batches("SELECT * FROM events") as unsorted,
        pytest.raises(RowKeyError, match=f"key id={ROWS - 2} of table 'events'.*found a key lower than"),
    ):
        store.write("events", unsorted, Recipe("", ("id",)), as_of=NOW)
    assert source.files() == []


def test_texts_with_a_collation_are_sorted_and_joined_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE named (name VARCHAR COLLATE NOCASE); INSERT INTO named VALUES ('b'), ('A'), ('a')"
        )
    warehouse = DuckDBWarehouse(str(path), now=NOW)
    with warehouse.batches("SELECT * FROM named", key=("name",)) as batches:
        assert batches.read_all()["name"].to_pylist() == ["A", "a", "b"]
    side = warehouse.natural("SELECT * FROM named WHERE name > :least", {"least": ""})
    joined = (
        f"SELECT count(*) AS n FROM ({side}) AS s JOIN ({warehouse.natural('SELECT * FROM named')}) AS t USING (name)"
    )
    with warehouse.batches(joined, {"least": ""}) as batches:
        assert batches.read_all()["n"].to_pylist() == [3]
