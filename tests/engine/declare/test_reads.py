"""What declarations say that their SQL reads: misspelt names are said, and what is named is made before."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from penstock.declare.connections import unused
from penstock.declare.preparation import Preparation
from penstock.declare.project import Declarations
from penstock.errors import PenstockError
from penstock.graph.definitions import definitions_of
from penstock.graph.training import TrainingAssets
from tests.engine.publishing import declared as table
from tests.engine.training.tank_declarations import boosting
from tests.engine.training.tanks import tank_model

QUERY = "SELECT * FROM tanks -- not of pools\nWHERE asked_at >= :from AND asked_at < :until"
TOTALS = Preparation("totals", query="SELECT shop, sum(price) AS total FROM crm.sales GROUP BY shop", reads=("sales",))
BEST = Preparation("best", query="SELECT max(total) AS best FROM prepared.totals", reads=("prepared/totals",))
MODEL = replace(tank_model(boosting), query=QUERY, reads=("tanks",))


def notes(found: Declarations) -> list[str]:
    return [note for note in unused(found) if " reads " in note or "SOURCES" in note]


@pytest.mark.parametrize(
    ("reads", "query"),
    [
        ("tanks", QUERY),
        ("Tanks", QUERY),
        ("order lines", 'SELECT lines, "order" FROM "order lines"'),
        ("order_lines", 'SELECT * FROM sales."order-lines"'),
        ("sales.orders", 'SELECT * FROM "sales"."orders"'),
        ("orders", "SELECT * FROM `shop.sales.orders`"),
        ("Aufträge", "SELECT * FROM Aufträge"),
        ("rentals", "SELECT * FROM 's3://there/rentals.parquet'"),
    ],
)
def test_a_table_that_the_query_names_is_not_spoken_of(reads: str, query: str) -> None:
    made = replace(
        MODEL,
        query=query if "WHERE" in query else f"{query} WHERE asked_at >= :from AND asked_at < :until",
        reads=(reads,),
    )
    prepared = Preparation("days", query=query.partition("WHERE")[0], reads=(reads,))
    assert notes(Declarations(models={"overflow": made}, preparations={"days": prepared})) == []


def test_a_misspelt_table_is_said_with_the_nearest_name_of_the_query() -> None:
    model, totals = replace(MODEL, reads=("tnaks", "pools")), replace(TOTALS, reads=("salse",))
    near = replace(table("rust"), query="SELECT key, value FROM rusts", after=("warehouse/rustz",))
    found = Declarations(models={"overflow": model}, preparations={"totals": totals}, tables={"rust": near})
    assert notes(found) == [
        "the query of model 'overflow' reads no table 'tnaks', which its `reads` names. Did you mean tanks?",
        "the query of model 'overflow' reads no table 'pools', which its `reads` names",
        "the SQL of preparation 'totals' reads no table 'salse', which its `reads` names. Did you mean sales?",
        "the query of table 'rust' reads no table 'rustz', which its `after` names. Did you mean rusts?",
    ]
    described = Declarations(preparations={"totals": TOTALS}, sources={"slaes": "Sold.", "other": "Of others."})
    assert notes(described) == ["nothing reads 'slaes', which SOURCES describes. Did you mean sales?"]


def test_what_sources_describes_may_stand_behind_a_view() -> None:
    model = replace(MODEL, reads=("behind_the_view",))
    assert notes(Declarations(models={"overflow": model}, sources={"behind_the_view": "Filled by others."})) == []


def test_a_preparation_that_a_model_reads_and_nobody_declares_is_refused_with_the_nearest() -> None:
    found = Declarations(
        models={"overflow": replace(MODEL, reads=("prepared/totls",))}, preparations={"totals": TOTALS}
    )
    for check in (found.whole, lambda: found.checked("overflow")):
        with pytest.raises(PenstockError, match=r"reads of model 'overflow'.*'prepared/totls'.*Did you mean totals"):
            check()


def test_a_model_waits_for_the_preparations_that_it_reads_and_these_for_theirs(tmp_path: Path) -> None:
    model = replace(
        MODEL, query=QUERY.replace("tanks", "prepared.best"), reads=("prepared/best",), first_period="2026-01"
    )
    found = Declarations(models={"overflow": model}, preparations={"totals": TOTALS, "best": BEST})
    rows = TrainingAssets(model, {}).rows("training_set", "")
    assert dg.AssetKey(["prepared", "best"]) in rows.dependency_keys
    assert "preparation" not in " ".join(unused(found))
    assert [one.name for one in found.preparations_of([], model)] == ["totals", "best"]
    defs = definitions_of(tmp_path, found)
    for job in ("train_overflow", "everything_for_overflow"):
        nodes = {node.name for node in defs.resolve_job_def(job).nodes}
        assert {"prepared__totals", "prepared__best", "overflow__training_set"} <= nodes


def test_a_table_s_run_makes_the_preparations_of_its_preparations_too(tmp_path: Path) -> None:
    found = Declarations(
        tables={"best": table("best", after=("prepared/best",))}, preparations={"totals": TOTALS, "best": BEST}
    )
    defs = definitions_of(tmp_path, found)
    nodes = {node.name for node in defs.resolve_job_def("replicate_tables").nodes}
    assert {"prepared__totals", "prepared__best", "snapshot__best"} <= nodes
    data = defs.resolve_schedule_def("replicate_best_schedule").evaluate_tick(dg.build_schedule_context())
    (request,) = data.run_requests or ()
    assert request.asset_selection is not None
    assert dg.AssetKey(["prepared", "totals"]) in request.asset_selection
