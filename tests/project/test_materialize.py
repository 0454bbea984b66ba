from datetime import UTC, datetime
from typing import Any

import dagster as dg
import msgspec
import numpy as np
import psycopg
import pytest

from assets.definitions import defs
from penstock.artifact.load import load
from penstock.contract.columns import request_columns
from penstock.declare.discovery import declared
from penstock.extract.coming_requests import coming
from penstock.lookups.in_warehouse import WarehouseLookups
from penstock.lookups.look_up import look_up_now
from penstock.postgres.book import Books
from penstock.postgres.databases import Databases
from penstock.releases.ledger import current, ledger, rollback
from penstock.warehouse.opening import open_warehouse
from tests.example import MONTH, Example

MODEL = "flight_delay"


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    events = result.get_asset_materialization_events()
    found = next(event.materialization for event in events if event.asset_key == dg.AssetKey(list(key)))
    return {name: value.value for name, value in found.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {f"{e.asset_key.to_user_string()}: {e.check_name}": e.passed for e in result.get_asset_check_evaluations()}


def materialize(
    instance: dg.DagsterInstance, keys: list[list[str]], *, partition: str | None = None, config: Any = None
) -> dg.ExecuteInProcessResult:
    assets = [asset for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable]
    return dg.materialize(
        assets,
        selection=dg.AssetSelection.assets(*(dg.AssetKey(key) for key in keys)),
        instance=instance,
        partition_key=partition,
        run_config=config,
        raise_on_error=False,
    )


def test_every_check_passes_and_every_table_is_verified_in_both_books(materialized: dg.ExecuteInProcessResult) -> None:
    found = checks(materialized)

    assert all(found.values()), found
    assert declared().tables
    for table in declared().tables:
        assert {f"snapshot/{table}: shape", f"test/{table}: verified", f"prod/{table}: verified"} <= set(found)
    assert {f"{MODEL}/candidate: parity", f"{MODEL}/candidate: no_skew", f"{MODEL}/prod_release: gate"} <= set(found)


def test_the_candidate_shows_its_curve_and_beats_the_base_rate_clearly(
    materialized: dg.ExecuteInProcessResult,
) -> None:
    shown = metadata(materialized, MODEL, "candidate")

    assert shown["roc_auc"] > shown["roc_auc_base_rate"] + 0.03
    assert shown["roc_and_calibration"].startswith("![plot](data:image/png;base64,")
    assert shown["card"].startswith(f"# {MODEL}")
    assert shown["training_rows"] > 100_000
    metrics = {record.data["metric"]: record.data["value"] for record in shown["metrics"].records}
    assert metrics["roc_auc"] == pytest.approx(shown["roc_auc"], abs=1e-6)
    assert metrics["judged_by"] == "roc_auc"
    assert shown["gate_would_say"].startswith(f"roc_auc {shown['roc_auc']:.4f} (floor 0.64): passed")


def test_tables_show_rows_schema_query_and_history(materialized: dg.ExecuteInProcessResult) -> None:
    taken, loaded = metadata(materialized, "snapshot", "weather"), metadata(materialized, "prod", "weather")

    assert taken["dagster/row_count"] == loaded["dagster/row_count"] > 10_000
    assert [column.name for column in taken["dagster/column_schema"].columns][:2] == ["origin", "observed_at"]
    assert "FROM weather" in taken["query"]
    assert loaded["history"].startswith("![plot]")


def test_both_books_serve_the_same_release_made_by_the_run(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    test, prod = current(example.test, MODEL), current(example.prod, MODEL)

    assert test is not None
    assert prod is not None
    assert (test.release, test.artifact) == (prod.release, prod.artifact)
    assert prod.period == MONTH
    first = ledger(example.prod, MODEL)[-1]
    assert materialized.run_id in first.who
    assert first.artifact == prod.artifact
    shown = metadata(materialized, MODEL, "prod_release")["ledger"]
    assert [(record.data["release"], record.data["period"]) for record in shown.records] == [(prod.release, MONTH)]
    assert next(column.type for column in shown.schema.columns if column.name == "release") == "int"


def test_a_second_run_loads_nothing_and_releases_nothing_anew(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    again = materialize(dagster_instance, [["snapshot", "planes"], ["test", "planes"], ["prod", "planes"]])

    assert again.success
    assert metadata(again, "prod", "planes")["loaded"] == "no, already current"


def test_a_release_of_an_older_month_cannot_get_around_the_gate(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    before = current(example.prod, MODEL)
    steps = [[MODEL, step] for step in ("training_set", "holdout_set", "candidate", "test_release")]

    older = materialize(dagster_instance, steps, partition="2026-08-01")

    assert not older.success
    assert not checks(older)[f"{MODEL}/test_release: gate"]
    assert current(example.test, MODEL) is not None
    assert current(example.prod, MODEL) == before
    failure = next(e for e in older.all_events if e.is_step_failure)
    assert "older than 2026-10" in str(failure.step_failure_data.user_failure_data)


def test_an_override_is_recorded_with_its_reason_and_rollback_undoes_it(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    before = current(example.test, MODEL)
    assert before is not None
    steps = [[MODEL, step] for step in ("training_set", "holdout_set", "candidate")]
    assert materialize(dagster_instance, steps, partition="2026-09-01").success
    config = {"ops": {f"{MODEL}__test_release": {"config": {"override": True, "why": "drill"}}}}

    forced = materialize(dagster_instance, [[MODEL, "test_release"]], partition="2026-09-01", config=config)

    assert forced.success
    assert not checks(forced)[f"{MODEL}/test_release: gate"]
    released = metadata(forced, MODEL, "test_release")
    assert released["action"] == "override"
    assert released["decision"].startswith("OVERRIDDEN: roc_auc")
    assert "refused: its period 2026-09 is older than 2026-10" in released["decision"]
    (evaluation,) = forced.get_asset_check_evaluations()
    assert evaluation.metadata["overridden"].value == "drill"
    newest = ledger(example.test, MODEL)[0]
    assert (newest.action, newest.why) == ("override", "drill")
    assert rollback(example.test, MODEL, who="test", why="drill over").artifact == before.artifact


def test_rows_of_a_wrong_shape_fail_the_run_with_the_rows_and_change_nothing_downstream(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    from penstock.warehouse.duckdb_file import DuckDBWarehouse

    warehouse = DuckDBWarehouse(str(example.settings.warehouse_file))
    with example.prod.connect() as connection:
        before = connection.execute("SELECT * FROM replicated.current WHERE table_name = 'airports'").fetchone()
    warehouse.prepare("UPDATE airports SET lat = 991 WHERE faa = 'IAH'")
    try:
        wrong = materialize(dagster_instance, [[step, "airports"] for step in ("snapshot", "test", "prod")])
    finally:
        warehouse.prepare("UPDATE airports SET lat = 29.984433 WHERE faa = 'IAH'")

    assert not wrong.success
    assert checks(wrong) == {"snapshot/airports: shape": False}
    evaluation = wrong.get_asset_check_evaluations()[0]
    assert "991" in str(evaluation.metadata["failing_rows"].value)
    with example.prod.connect() as connection:
        after = connection.execute("SELECT * FROM replicated.current WHERE table_name = 'airports'").fetchone()
    assert after == before


def test_training_rows_of_a_wrong_shape_fail_the_run_with_the_rows_too(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    from penstock.warehouse.duckdb_file import DuckDBWarehouse

    warehouse = DuckDBWarehouse(str(example.settings.warehouse_file))
    mistaken = "carrier = 'UA' AND flight = 1545 AND year = 2026 AND month = 10"
    warehouse.prepare(f"UPDATE source.flights SET flight = 99999 WHERE {mistaken}")
    try:
        wrong = materialize(dagster_instance, [[MODEL, "holdout_set"], [MODEL, "candidate"]], partition=f"{MONTH}-01")
    finally:
        warehouse.prepare(f"UPDATE source.flights SET flight = 1545 WHERE {mistaken.replace('1545', '99999')}")

    assert not wrong.success
    failure = next(e for e in wrong.all_events if e.is_step_failure).step_failure_data.user_failure_data
    assert "99999" in str(failure.metadata["failing_rows"].value)
    assert not list(wrong.get_asset_materialization_events())


def test_a_book_that_differs_from_the_warehouse_is_found_as_skew(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    with example.test.connect(autocommit=True) as connection:
        physical = connection.execute("SELECT physical FROM replicated.current WHERE table_name = 'airports'")
        table = psycopg.sql.Identifier("replicated", physical.fetchone()[0])
        original = connection.execute(psycopg.sql.SQL("SELECT lat FROM {} WHERE faa = 'ATL'").format(table)).fetchone()
        update = psycopg.sql.SQL("UPDATE {} SET lat = %s WHERE faa = 'ATL'").format(table)
        connection.execute(update, (float(np.nextafter(original[0], 0)),))
        try:
            skewed = materialize(dagster_instance, [[MODEL, "candidate"]], partition=f"{MONTH}-01")
        finally:
            connection.execute(update, (original[0],))

    assert not skewed.success
    assert checks(skewed) == {f"{MODEL}/candidate: no_skew": False}
    assert "'dest_lat'" in str(next(e for e in skewed.all_events if e.is_step_failure))


def test_a_lost_database_connection_is_tried_again(
    materialized: dg.ExecuteInProcessResult, example: Example, dagster_instance: dg.DagsterInstance
) -> None:
    lost: list[int] = []

    open_books = Databases.open_books

    def open_then_lose(databases: Databases) -> Books:
        books = open_books(databases)
        if not lost:
            lost.append(1)
            raise psycopg.OperationalError("the connection was lost")
        return books

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Databases, "open_books", open_then_lose)
        patch.setattr("penstock.graph.faults.SECONDS_BETWEEN", 0)
        retried = materialize(dagster_instance, [["test", "planes"], ["prod", "planes"]])

    assert retried.success
    assert [e for e in retried.all_events if e.event_type == dg.DagsterEventType.STEP_RESTARTED]


def test_the_dev_book_predicts_from_the_warehouse_the_bits_that_prod_predicts(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    model, released = declared().model(MODEL), current(example.prod, MODEL)
    contract = model.contract
    posted = [
        msgspec.convert(row, contract.request) for row in coming(model, 300, example.warehouse, example.clock.now)
    ]
    for place, one in enumerate(posted):
        posted[place] = msgspec.structs.replace(one, asked_at=example.clock.now)
    queries = {table.name: table.query for table in declared().tables_for(model)}
    direct = WarehouseLookups(open_warehouse(example.settings), contract, queries).look_up(posted)
    found, _ = look_up_now(example.prod.url, contract, posted)

    assert direct.rows == found.rows
    assert direct.missing == found.missing
    assert released is not None
    artifact = load(example.artifacts.fetch(released.artifact, example.home / "cache"))
    columns = request_columns(contract, posted)
    predicted = [artifact.predict(contract.vectors(columns | one.columns)) for one in (direct, found)]
    assert predicted[0].shape == (len(posted), 2)
    assert len(posted) > 100
    assert predicted[0].tobytes() == predicted[1].tobytes()


def test_released_books_answer_a_lookup_as_of_an_earlier_time(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    contract = declared().model(MODEL).contract
    asked = {"carrier": "UA", "flight": 1, "origin": "EWR", "dest": "IAH", "scheduled_departure": "2026-10-05T08:00:00"}
    requests = [
        msgspec.convert({**asked, "asked_at": datetime(2026, 10, day, 12, tzinfo=UTC)}, contract.request)
        for day in (2, 5)
    ]

    looked, snapshots = look_up_now(example.prod.url, contract, requests)

    assert set(snapshots) == {lookup.table for lookup in contract.lookups}
    assert looked.columns["route.late_share"][0] != looked.columns["route.late_share"][1]
    assert looked.missing == [("plane",), ("plane",)]
