import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Timer

import duckdb
import pyarrow as pa
import pytest

from penstock.settings import Settings
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.slow import slow_after

ROWS = "SELECT * FROM (VALUES ('b', 2, 1.5), ('a', 1, NULL), ('É', 3, 0.1), ('Z', 4, 2.0)) AS t (name, n, x)"
TABLE = f"CREATE TABLE t AS {ROWS}"
SERIES = {
    "duckdb": "SELECT n FROM range(200000) AS r(n)",
    "postgresql": "SELECT n FROM generate_series(0, 199999) AS r(n)",
    "clickhouse": "SELECT number AS n FROM numbers(200000)",
}


@pytest.fixture(params=slow_after(2, ["duckdb", "postgres", "chdb", "clickhouse"]))
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    made: Warehouse
    if request.param == "duckdb":
        made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    elif request.param == "postgres":
        made = PostgresWarehouse(request.getfixturevalue("new_database")())
    elif request.param == "chdb":
        (tmp_path / "chdb").mkdir()
        made = ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}")
    else:
        made = ClickHouseWarehouse(request.getfixturevalue("clickhouse_url"))
        made.prepare("DROP TABLE IF EXISTS t")
    made.prepare(TABLE)
    return made


def read(
    warehouse: Warehouse, query: str, bound: dict[str, object] | None = None, key: tuple[str, ...] = ()
) -> pa.Table:
    with warehouse.batches(query, bound, key=key) as batches:
        return batches.read_all()


def test_rows_come_in_binary_order_of_the_key(warehouse: Warehouse) -> None:
    assert read(warehouse, "SELECT * FROM t", key=("name",)).column("name").to_pylist() == ["Z", "a", "b", "É"]


def test_values_are_bound_and_never_part_of_the_query(warehouse: Warehouse) -> None:
    evil = "a' OR '1'='1"

    assert read(warehouse, "SELECT n FROM t WHERE name = :name", {"name": "a"}).num_rows == 1
    assert read(warehouse, "SELECT n FROM t WHERE name = :name", {"name": evil}).num_rows == 0


def test_a_cast_with_two_colons_is_not_taken_for_a_bound_value(warehouse: Warehouse) -> None:
    assert read(warehouse, "SELECT '5'::int AS five").column("five").to_pylist() == [5]


def test_an_empty_result_keeps_its_columns_and_types(warehouse: Warehouse) -> None:
    empty = read(warehouse, "SELECT name, n FROM t WHERE n < 0")

    assert empty.num_rows == 0
    assert empty.schema.names == ["name", "n"]
    assert empty.schema.types == [pa.string(), pa.uint8() if warehouse.dialect == "clickhouse" else pa.int32()]


def test_instants_are_utc_and_nulls_stay_nulls(warehouse: Warehouse) -> None:
    query = "SELECT CAST('2026-11-22 12:00:00+00' AS TIMESTAMPTZ) AS at, x FROM t ORDER BY n"
    rows = read(warehouse, query)

    assert rows.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert rows.column("at")[0].as_py() == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert rows.column("x")[0].as_py() is None


def test_a_training_join_is_kept_from_nested_loops_and_no_other_query_is(new_database: Callable[[], str]) -> None:
    warehouse = PostgresWarehouse(new_database())
    query = "SELECT current_setting('enable_nestloop') AS nested"
    found = []
    for hash_joins in (True, False):
        with warehouse.batches(query, hash_joins=hash_joins) as batches:
            found += batches.read_all().to_pylist()
    assert found == [{"nested": "off"}, {"nested": "on"}]


def test_a_wrong_query_is_refused_with_the_warehouses_own_words(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nowhere"):
        read(warehouse, "SELECT * FROM nowhere")


def test_a_large_result_is_streamed_in_batches(warehouse: Warehouse) -> None:
    with warehouse.batches(SERIES[warehouse.dialect], key=("n",)) as batches:
        sizes = [batch.num_rows for batch in batches]

    assert sum(sizes) == 200_000
    assert max(sizes) < 150_000


def test_the_settings_choose_the_warehouse(tmp_path: Path) -> None:
    assert isinstance(open_warehouse(Settings(home=tmp_path)), DuckDBWarehouse)
    assert isinstance(open_warehouse(Settings(home=tmp_path, warehouse_url="postgresql:///x")), PostgresWarehouse)
    other = open_warehouse(Settings(home=tmp_path, warehouse_url="duckdb:////data/w.duckdb"))
    assert isinstance(other, DuckDBWarehouse)
    assert other.path == "/data/w.duckdb"


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="penstock up"):
        read(DuckDBWarehouse(str(tmp_path / "none.duckdb")), "SELECT 1")


def test_a_reader_that_was_given_up_midway_lets_the_next_writer_in(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(str(tmp_path / "w.duckdb"), patience=1)
    warehouse.prepare("CREATE TABLE t AS SELECT range AS n FROM range(1000000)")
    with warehouse.batches("SELECT * FROM t") as held:
        held.read_next_batch()

    warehouse.prepare("DROP TABLE t")

    assert held is not None


def _hold(path: str, held: Event, let_go: Event) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE held (n INTEGER)")
        held.set()
        let_go.wait(60)


@pytest.mark.slow
def test_a_reader_waits_for_the_one_writer_and_gives_up_in_bounded_time(tmp_path: Path) -> None:
    path = str(tmp_path / "w.duckdb")
    DuckDBWarehouse(path).prepare(TABLE)
    processes = multiprocessing.get_context("spawn")
    held, let_go = processes.Event(), processes.Event()
    writer = processes.Process(target=_hold, args=(path, held, let_go))
    writer.start()
    try:
        assert held.wait(60)
        with pytest.raises(WarehouseError, match=r"free within 0 s"):
            read(DuckDBWarehouse(path, patience=0.2), "SELECT * FROM t")
        Timer(1, let_go.set).start()
        assert read(DuckDBWarehouse(path, patience=30), "SELECT * FROM t").num_rows == 4
    finally:
        let_go.set()
        writer.join(30)


def test_a_table_that_is_not_there_is_no_variable_of_the_program(tmp_path: Path) -> None:
    nowhere = pa.table({"secret": [1]})
    warehouse = DuckDBWarehouse(str(tmp_path / "warehouse.duckdb"))
    with warehouse.connect() as connection, pytest.raises(duckdb.CatalogException, match="nowhere"):
        connection.execute("SELECT * FROM nowhere")
    assert nowhere.num_rows == 1
