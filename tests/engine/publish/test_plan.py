"""What a publish says it would do, and what it then does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import psycopg
import pytest

from penstock.declare.table import ReplicatedTable
from penstock.extract import in_parts
from penstock.extract.extract import extract
from penstock.postgres.book import Book
from penstock.publish.plan import ROWS_PER_SECOND, TablePlan, plan
from penstock.publish.publish import publish
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.warehouse.estimate import PERHAPS_STORED, SORTS, STORED, estimate
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.parts import ranges_of
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.publishing import declared

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROWS = 20_000
Run = Callable[[str], None]


@pytest.fixture(params=["duckdb", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> Settings:
    """Settings of a warehouse with ROWS orders."""
    url = new_database() if request.param == "postgresql" else ""
    settings = Settings(home=tmp_path, now_override=NOW, warehouse_url=url)
    series = "range(20000) AS r(n)" if not url else "generate_series(0, 19999) AS r(n)"
    open_warehouse(settings).prepare(
        f"CREATE TABLE orders AS SELECT CAST(n AS BIGINT) AS id, CAST(n % 7 AS INTEGER) AS part,"
        f" CAST('2026-11-22 00:00:00+00' AS TIMESTAMPTZ) AS changed FROM {series}"
    )
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE orders")
    return settings


def orders(**more: object) -> ReplicatedTable:
    return replace(declared("orders", ("id",)), query="SELECT * FROM orders", **more)  # type: ignore[arg-type]


def planned(settings: Settings, table: ReplicatedTable, *books: Book) -> TablePlan:
    store = SnapshotStore(settings.snapshots)
    return plan(table, open_warehouse(settings), store, books, now=settings.now())


def taken_of(settings: Settings, table: ReplicatedTable) -> Snapshot:
    return extract(table, open_warehouse(settings), SnapshotStore(settings.snapshots), settings.now())


def later(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, now_override=NOW + timedelta(hours=1))


def test_a_first_publish_extracts_everything_and_loads_it(place: Settings, book: Book) -> None:
    found = planned(place, orders(), book)

    assert (found.action, found.why) == ("full", "no snapshot with rows yet")
    assert found.rows == ROWS
    assert found.bytes is not None
    assert 16 * ROWS <= found.bytes <= 40 * ROWS
    assert found.sorts == (SORTS if place.warehouse_url else PERHAPS_STORED)
    assert found.seconds == pytest.approx(ROWS / ROWS_PER_SECOND)
    assert found.books == {"test": "load"}
    assert SnapshotStore(place.snapshots).latest("orders") is None


def test_after_an_extract_its_speed_and_its_bytes_are_those_of_the_next(place: Settings, book: Book) -> None:
    taken = taken_of(place, orders())
    publish(taken, orders(), [book], who="test")
    found = planned(later(place), orders(), book)

    assert found.why == "the table declares no watermark"
    assert found.bytes == pytest.approx(taken.manifest.stream_bytes, rel=0.01)
    assert found.seconds == pytest.approx(taken.manifest.seconds)
    assert found.seconds_from.startswith("the full extract of ")
    assert found.books == {"test": "load if changed"}


def test_a_table_whose_version_is_the_same_is_not_extracted(place: Settings, book: Book) -> None:
    table = orders(version_query="SELECT count(*) AS n FROM orders")
    publish(taken_of(place, table), table, [book], who="test")
    found = planned(later(place), table, book)

    assert (found.action, found.rows, found.parts) == ("unchanged", 0, 0)
    assert found.books == {"test": "nothing"}


def test_of_a_table_with_a_watermark_only_the_changes_are_counted(place: Settings, book: Book) -> None:
    table = orders(watermark="changed")
    publish(taken_of(place, table), table, [book], who="test")
    open_warehouse(place).prepare("UPDATE orders SET changed = '2026-11-22 11:00:00+00' WHERE id < 3")
    assert taken_of(later(place), table).manifest.delta_rows == 3  # now the greatest watermark is that of three rows
    if place.warehouse_url:
        with psycopg.connect(place.warehouse_url, autocommit=True) as connection:
            connection.execute("ANALYZE orders")
    found = planned(later(place), table, book)

    assert found.action == "incremental"
    assert found.rows is not None
    assert found.rows < ROWS / 2


def test_a_table_that_is_not_prepared_yet_is_unknown_and_no_error(place: Settings, book: Book) -> None:
    found = planned(place, replace(orders(), query="SELECT * FROM not_yet"), book)

    assert (found.action, found.rows, found.seconds) == ("full", None, None)
    assert "not_yet" in found.unknown


def test_an_index_in_the_order_of_the_key_saves_postgres_the_sort(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, x text); INSERT INTO t SELECT generate_series(1,9999)"
        )
        connection.execute("ANALYZE t")
    warehouse = open_warehouse(Settings(home=Path(), warehouse_url=f"{url}&options=-c%20enable_seqscan%3Doff"))

    assert estimate(warehouse, "SELECT * FROM t", key=("id",)).sorts == STORED
    assert estimate(warehouse, "SELECT * FROM t", key=("x",)).sorts == SORTS
    assert estimate(warehouse, "SELECT * FROM t").sorts == ""


def test_a_kind_that_cannot_tell_is_unknown() -> None:
    class Plain:
        dialect = "plain"

    plain: Warehouse = Plain()  # type: ignore[assignment]
    found = estimate(plain, "SELECT 1")

    assert (found.rows, found.sorts) == (None, "")
    assert "'plain'" in found.unknown


def test_nothing_is_written_by_a_plan(tmp_path: Path, book: Book) -> None:
    settings = Settings(home=tmp_path / "home", now_override=NOW)
    settings.home.mkdir()
    with duckdb.connect(str(settings.warehouse_file)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(9)")
    before = sorted(tmp_path.rglob("*"))
    planned(settings, orders(), book)

    assert len(before) == 2
    assert [one for one in sorted(tmp_path.rglob("*")) if one.is_file()] == [one for one in before if one.is_file()]


def test_a_large_table_is_planned_in_as_many_parts_as_it_is_read_in(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_parts, "cores", lambda: 4)
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, x double precision)")
        connection.execute("INSERT INTO orders SELECT n, random() FROM generate_series(1, 40000) AS n; ANALYZE orders")
    warehouse, store = PostgresWarehouse(url, part_rows=10_000), SnapshotStore(str(tmp_path))
    assert (
        plan(orders(), warehouse, store, (), now=NOW).parts == 4 == len(ranges_of(warehouse, orders().query, ("id",)))
    )
    assert plan(orders(), PostgresWarehouse(url), store, (), now=NOW).parts == 1
    monkeypatch.setattr(in_parts, "cores", lambda: 2)
    assert plan(orders(), warehouse, store, (), now=NOW).parts == 1
    assert plan(orders(version_query="SELECT 1"), warehouse, store, (), now=NOW).parts == 4
