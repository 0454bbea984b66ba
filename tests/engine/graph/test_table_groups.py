"""Tables that are declared a group: extracted in one run, and current in one transaction or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandera.pandas as pandera
import pytest

from penstock.declare.preparation import Preparation
from penstock.declare.project import Declarations
from penstock.graph.environment import Environment
from penstock.graph.replication import job, publication, schedule, snapshot
from penstock.graph.standing_checks import standing_checks
from penstock.graph.warehouse import prepared
from penstock.postgres.book import Book
from tests.engine.publishing import declared

SHAPE = pandera.DataFrameSchema({"key": pandera.Column("int64[pyarrow]"), "value": pandera.Column("int64[pyarrow]")})
ORDERS, LINES = (
    replace(
        declared(name, group="sales", largest_drop=0.5),
        query=f"SELECT key, value FROM {name}",
        shape=SHAPE,
        description=f"The {name} of the shop.",
    )
    for name in ("orders", "lines")
)
STEPS = [[step, table] for step in ("snapshot", "test", "prod") for table in ("orders", "lines")]


@pytest.fixture
def warehouse(an_hour_later: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse whose tables have as many rows as `filled` gives them."""
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", f"duckdb:///{an_hour_later / 'shop.duckdb'}")
    return an_hour_later / "shop.duckdb"


def filled(file: Path, **rows: int) -> None:
    with duckdb.connect(str(file)) as connection:
        for table, count in rows.items():
            connection.execute(
                f"CREATE OR REPLACE TABLE {table} AS SELECT i AS key, {count} AS value FROM range({count}) t(i)"
            )
            connection.execute(f"ALTER TABLE {table} ALTER value TYPE BIGINT")


def run(instance: dg.DagsterInstance, selected: list[list[str]]) -> dg.ExecuteInProcessResult:
    together = (ORDERS, LINES)
    return dg.materialize(
        [*map(snapshot, together), publication(together)],
        selection=dg.AssetSelection.assets(*(dg.AssetKey(key) for key in selected)),
        instance=instance,
        resources={"environment": Environment()},
        raise_on_error=False,
    )


def rows_and_transactions(book: Book) -> tuple[Any, ...] | None:
    with book.connect() as connection:
        return connection.execute(
            "SELECT array_agg(rows ORDER BY table_name), count(DISTINCT xmin::text) FROM replicated.current"
        ).fetchone()


@pytest.mark.slow
def test_a_group_becomes_current_in_one_transaction_per_book_or_not_at_all(
    warehouse: Path, book: Book, prod_book: Book
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        filled(warehouse, orders=10, lines=30)
        done = run(instance, STEPS)
        assert done.success
        assert [rows_and_transactions(one) for one in (book, prod_book)] == [([30, 10], 1)] * 2
        shown = {e.asset_key.to_user_string(): e.materialization for e in done.get_asset_materialization_events()}
        assert shown["prod/lines"].metadata["age_hours"].value == 0
        assert shown["test/orders"].metadata["dagster/row_count"].value == 10

        filled(warehouse, orders=20, lines=3)
        assert not run(instance, STEPS).success
        assert [rows_and_transactions(one) for one in (book, prod_book)] == [([30, 10], 1)] * 2


@pytest.mark.slow
def test_a_part_of_a_group_is_not_published_alone(warehouse: Path, book: Book) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        filled(warehouse, orders=10, lines=30)
        alone = run(instance, [*STEPS[:2], ["test", "orders"]])
        failure = next(e for e in alone.all_events if e.is_step_failure)
        assert "a run without test/lines" in str(failure.step_failure_data.user_failure_data)
        assert rows_and_transactions(book) == (None, 0)
        assert run(instance, STEPS[:4]).success
        assert rows_and_transactions(book) == ([30, 10], 1)


def test_the_schedule_of_a_group_takes_all_of_it_and_nothing_else() -> None:
    alone = declared("alone")
    found = Declarations(tables={table.name: table for table in (ORDERS, alone, LINES)})
    assert found.groups() == [(ORDERS, LINES), (alone,)]
    made = dg.Definitions(
        assets=[one for tables in found.groups() for one in (*map(snapshot, tables), publication(tables))],
        asset_checks=[standing_checks(table) for table in found.tables.values()],
        jobs=[job(list(found.tables.values()), {})],
        schedules=[schedule(tables, {}) for tables in found.groups()],
        resources={"environment": Environment()},
    )
    of_group, of_alone = (made.resolve_schedule_def(f"replicate_{name}_schedule") for name in ("orders", "alone"))
    assert (of_group.job_name, of_alone.job_name) == ("replicate_tables", "replicate_tables")
    context = dg.build_schedule_context()
    [request] = of_group.evaluate_tick(context).run_requests or []
    taken = made.resolve_job_def("replicate_tables").get_subset(
        asset_selection=set(request.asset_selection or ()), asset_check_selection=set(request.asset_check_keys or ())
    )
    assert {node.name for node in taken.nodes} == {"publish_sales", "snapshot__orders", "snapshot__lines"}
    assert {key.name for key in taken.asset_layer.asset_graph.asset_check_keys} == {"shape", "verified"}
    [request] = of_alone.evaluate_tick(context).run_requests or []
    assert request.tags["penstock/tables"] == "alone"
    assert {key.path[-1] for key in request.asset_selection or ()} == {"alone"}


@pytest.mark.slow
def test_a_run_of_a_schedule_and_of_up_takes_the_tests_of_what_is_prepared(
    warehouse: Path, book: Book, prod_book: Book
) -> None:
    filled(warehouse, lines=3)
    best = Preparation("best", query="SELECT key, value FROM lines", unique=("key",), not_null=("key",))
    table = replace(declared("best", after=("prepared/best",)), query="SELECT key, value FROM prepared.best")
    made = dg.Definitions(
        assets=[prepared(best), snapshot(table), publication((table,))],
        asset_checks=[standing_checks(table)],
        jobs=[job([table], {"best": best})],
        schedules=[schedule((table,), {"best": best})],
        resources={"environment": Environment()},
    )
    [request] = (
        made.resolve_schedule_def("replicate_best_schedule").evaluate_tick(dg.build_schedule_context()).run_requests
        or []
    )
    named = {(key.asset_key.path[0], key.name) for key in request.asset_check_keys or ()}
    tests = {("prepared", "unique"), ("prepared", "not_null_key")}
    assert named == {*tests, ("snapshot", "shape"), ("test", "verified"), ("prod", "verified")}
    taken = made.resolve_job_def("replicate_tables").get_subset(
        asset_selection=set(request.asset_selection or ()), asset_check_selection=set(request.asset_check_keys or ())
    )
    done = taken.execute_in_process()
    found = {(one.asset_key.path[0], one.check_name): one.passed for one in done.get_asset_check_evaluations()}
    assert found == dict.fromkeys(named, True)
    assert [rows_and_transactions(one) for one in (book, prod_book)] == [([3], 1)] * 2
