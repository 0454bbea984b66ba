"""A preparation runs in order, all or nothing, tested, and only when what it reads has changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pandera.pandas as pandera
import psycopg
import pytest

from penstock.declare.connections import preparation_faults, unused
from penstock.declare.preparation import Preparation, in_order
from penstock.declare.project import Declarations
from penstock.errors import PenstockError
from penstock.extract.preparing import PreparationError, prepare
from penstock.graph.environment import Environment
from penstock.graph.warehouse import prepared
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.publishing import declared
from tests.slow import slow_after

TOTALS = Preparation(
    "totals",
    query="SELECT shop, sum(price) AS total FROM sales GROUP BY shop;",
    reads=("sales",),
    version_query="SELECT max(id) AS newest, count(*) AS n FROM sales",
    unique=("shop",),
    not_null=("shop",),
    minimum_rows=1,
)
BEST = Preparation(
    "best",
    query="SELECT max(total) AS best FROM prepared.totals",
    reads=("prepared/totals",),
    version_query="SELECT 1 AS one",
)


@pytest.fixture(params=slow_after(1, ["duckdb", "postgresql", "clickhouse"]))
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> Warehouse:
    made: Warehouse
    if request.param == "duckdb":
        made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    elif request.param == "postgresql":
        made = PostgresWarehouse(new_database())
    else:
        (tmp_path / "chdb").mkdir()
        made = ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}")
    made.prepare(
        "CREATE TABLE sales (id INTEGER, shop VARCHAR(9), price DOUBLE PRECISION);"
        " INSERT INTO sales VALUES (1, 'a', 2.0), (2, 'b', 3.0), (3, 'a', 4.0)"
    )
    return made


def rows(warehouse: Warehouse, query: str) -> list[tuple[object, ...]]:
    with warehouse.batches(query) as batches:
        return [tuple(row.values()) for row in batches.read_all().to_pylist()]


def totals(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return rows(warehouse, "SELECT shop, total FROM prepared.totals ORDER BY shop")


def tables(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return rows(
        warehouse, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'prepared' ORDER BY 1"
    )


def test_the_rows_of_a_query_become_the_table_with_their_tests(warehouse: Warehouse) -> None:
    result = prepare(warehouse, TOTALS)

    assert totals(warehouse) == [("a", 6.0), ("b", 3.0)]
    assert (result.rows, result.skipped) == (2, False)
    assert [(test.name, test.passed) for test in result.tests] == [
        ("not_null_shop", True),
        ("unique", True),
        ("minimum_rows", True),
    ]
    assert tables(warehouse) == [("penstock_preparation",), ("totals",)]


@pytest.mark.parametrize(
    "query", ["SELECT 1 AS id, 2 AS id", "SELECT a.*, b.* FROM sales AS a JOIN sales AS b USING (id)"]
)
def test_a_query_with_two_columns_of_one_name_makes_no_table(warehouse: Warehouse, query: str) -> None:
    """DuckDB would call the second one `id_1`, and ClickHouse `b.id`."""
    with pytest.raises(WarehouseError, match=r"^preparation 'twice': .*\bid\b"):
        prepare(warehouse, Preparation("twice", query=query))
    assert rows(warehouse, "SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'twice'") == [(0,)]


def test_a_prepared_table_may_have_types_that_nothing_else_has(warehouse: Warehouse) -> None:
    lists = {"duckdb": "[1, 2]", "postgresql": "ARRAY[1, 2]", "clickhouse": "[1, 2]"}
    query = f"SELECT shop, {lists[warehouse.dialect]} AS several FROM sales"
    assert prepare(warehouse, Preparation("several", query=query)).rows == 3


@pytest.mark.slow
def test_nothing_is_run_until_what_it_reads_has_changed(warehouse: Warehouse) -> None:
    prepare(warehouse, TOTALS)
    assert prepare(warehouse, TOTALS).skipped

    warehouse.prepare("INSERT INTO sales VALUES (4, 'b', 1.0)")
    assert not prepare(warehouse, TOTALS).skipped
    assert totals(warehouse) == [("a", 6.0), ("b", 4.0)]
    warehouse.prepare("DROP TABLE prepared.totals")
    assert not prepare(warehouse, TOTALS).skipped
    assert not prepare(warehouse, replace(TOTALS, query=f"SELECT * FROM ({TOTALS.query[:-1]}) t")).skipped
    without = replace(TOTALS, version_query="")
    assert not prepare(warehouse, without).skipped
    assert not prepare(warehouse, without).skipped


@pytest.mark.slow
def test_what_reads_a_prepared_table_runs_again_when_that_was_made_again(warehouse: Warehouse) -> None:
    for one in (TOTALS, BEST):
        prepare(warehouse, one)
    assert prepare(warehouse, BEST).skipped

    warehouse.prepare("INSERT INTO sales VALUES (4, 'b', 9.0)")
    assert [prepare(warehouse, one).skipped for one in (TOTALS, BEST)] == [False, False]
    assert rows(warehouse, "SELECT best FROM prepared.best") == [(12.0,)]


def test_rows_that_fail_a_test_leave_the_table_as_it_was(warehouse: Warehouse) -> None:
    prepare(warehouse, TOTALS)
    bad = replace(
        TOTALS,
        query="SELECT CAST(NULL AS VARCHAR(9)) AS shop, price AS total FROM sales",
        shape=pandera.DataFrameSchema({"total": pandera.Column(checks=pandera.Check.le(3.0))}),
        minimum_rows=9,
    )
    with pytest.raises(PreparationError) as refused:
        prepare(warehouse, bad)

    told = str(refused.value)
    assert "3 nulls in shop" in told
    assert "1 value of shop in several rows" in told
    assert "3 rows" in told
    assert "4.0" in told
    assert "is as it was before" in told
    assert totals(warehouse) == [("a", 6.0), ("b", 3.0)]
    assert tables(warehouse) == [("penstock_preparation",), ("totals",)]


def test_a_query_that_is_refused_leaves_the_table_as_it_was(warehouse: Warehouse) -> None:
    prepare(warehouse, TOTALS)
    for more in ({"query": "SELECT * FROM nowhere"}, {"not_null": ("nowhere",)}):
        with pytest.raises(WarehouseError, match=r"^preparation 'totals': found [\s\S]*nowhere"):
            prepare(warehouse, replace(TOTALS, **more))

    assert totals(warehouse) == [("a", 6.0), ("b", 3.0)]
    assert tables(warehouse) == [("penstock_preparation",), ("totals",)]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), WarehouseError("preparing", found="a view needs the table")])
def test_what_ends_between_draft_and_table_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    made.prepare("CREATE TABLE sales AS SELECT 1 AS id, 'a' AS shop, 2.0e0 AS price")
    prepare(made, TOTALS)

    def refuse(*_: object) -> list[str]:
        raise fault

    monkeypatch.setattr("penstock.extract.preparing._swap", refuse)
    with pytest.raises(type(fault)):
        prepare(made, replace(TOTALS, minimum_rows=0))
    assert tables(made) == [("penstock_preparation",), ("totals",)]


@pytest.mark.slow
def test_a_script_of_an_old_project_runs_as_before_and_may_have_tests_and_a_version(warehouse: Warehouse) -> None:
    script = (
        "CREATE SCHEMA IF NOT EXISTS prepared; DROP TABLE IF EXISTS prepared.old;"
        " CREATE TABLE prepared.old AS SELECT * FROM sales"
    )
    old = Preparation("old", script, reads=("sales",))
    assert prepare(warehouse, old).rows == 3
    assert tables(warehouse) == [("old",)]

    versioned = replace(old, script=script + "; -- the end", version_query=TOTALS.version_query, unique=("shop",))
    with pytest.raises(PreparationError, match="1 value of shop in several rows"):
        prepare(warehouse, versioned)
    with pytest.raises(PreparationError):
        prepare(warehouse, versioned)
    good = replace(versioned, unique=("id",))
    assert [prepare(warehouse, good).skipped for _ in range(2)] == [False, True]


def test_preparing_needs_no_right_to_create_a_schema_that_is_there(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS prepares; CREATE ROLE prepares LOGIN; CREATE SCHEMA prepared")
        connection.execute("GRANT CREATE, USAGE ON SCHEMA prepared TO prepares")
    member = PostgresWarehouse(url.replace("postgres@", "prepares@", 1))

    assert prepare(member, Preparation("one", query="SELECT 1 AS n", version_query="SELECT 1 AS n")).rows == 1


def test_preparations_run_after_what_they_read() -> None:
    known = {one.name: one for one in (BEST, TOTALS)}
    found = Declarations(preparations=known, tables={"best": declared("best", after=("prepared/best",))})

    assert [one.name for one in found.preparations_for(found.tables["best"])] == ["totals", "best"]
    assert "preparation" not in " ".join(unused(found))


def test_a_circle_and_what_nobody_declares_are_named() -> None:
    circle = {"totals": replace(TOTALS, reads=("prepared/best",)), "best": BEST}
    with pytest.raises(PenstockError, match=r"reads (best|totals) reads"):
        in_order(["best"], circle)
    table = declared("best", after=("prepared/best",))
    (fault,) = preparation_faults(Declarations(preparations=circle, tables={"best": table}), table)
    assert "Break the circle" in str(fault)
    (fault,) = preparation_faults(Declarations(preparations={"best": BEST}, tables={"best": table}), table)
    assert "preparation 'best'" in str(fault)
    assert "'prepared/totals'" in str(fault)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"script": "CREATE TABLE x"}, "expected a query or a script, found both"),
        ({"query": ""}, "expected SQL"),
        ({"minimum_rows": -1}, "minimum_rows"),
    ],
)
def test_a_slip_in_a_declaration_is_named(more: dict[str, object], fault: str) -> None:
    with pytest.raises(PenstockError, match=fault):
        replace(TOTALS, **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_dagster_runs_them_in_order_with_the_tests_as_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    DuckDBWarehouse(str(tmp_path / "warehouse.duckdb")).prepare(
        "CREATE TABLE sales AS SELECT 1 AS id, 'a' AS shop, 2.0 AS price"
    )
    assets = [prepared(BEST), prepared(TOTALS)]

    def run(assets: list[dg.AssetsDefinition]) -> dg.ExecuteInProcessResult:
        return dg.materialize(assets, resources={"environment": Environment()}, raise_on_error=False)

    done = run(assets)
    assert done.success
    checks = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
    assert checks == {"not_null_shop": True, "unique": True, "minimum_rows": True}
    made = [event.asset_key.path[-1] for event in done.get_asset_materialization_events() if event.asset_key]
    assert made == ["totals", "best"]
    again = run(assets)
    assert again.success
    assert [one.passed for one in again.get_asset_check_evaluations()] == [True, True, True]
    metadata = again.get_asset_materialization_events()[0].materialization.metadata
    assert metadata["run"].value == "skipped: nothing that it reads has changed"
    assert metadata["dagster/row_count"].value == 1

    failed = run([prepared(replace(TOTALS, minimum_rows=2)), prepared(BEST)])
    assert not failed.success
    checks = {one.check_name: one.passed for one in failed.get_asset_check_evaluations()}
    assert checks == {"not_null_shop": True, "unique": True, "minimum_rows": False}
    assert failed.get_asset_materialization_events() == []
