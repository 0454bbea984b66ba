"""Raw tables of any name in Dagster, whose own names are letters of ASCII, digits, `_` and `-`."""

from dataclasses import replace

import pytest

from penstock.declare.preparation import Preparation
from penstock.declare.steps import asset_path, raw_path
from penstock.graph.training import TrainingAssets
from penstock.graph.warehouse import prepared, source
from tests.engine.training.tank_declarations import boosting
from tests.engine.training.tanks import tank_model

NAMES = ["Aufträge", "v.verlauf", "order lines", "日本", 'a"b', "my-table", "plain"]


def test_each_has_an_asset_that_can_be_depended_on() -> None:
    model = replace(tank_model(boosting), reads=tuple(NAMES))
    rows = TrainingAssets(model, {}).rows("training_set", "")
    made = prepared(Preparation("days", query="SELECT 1", reads=NAMES))
    found = {source(name, "").key for name in NAMES}
    assert len(found) == len(NAMES)
    assert found <= set(rows.dependency_keys)
    assert found == set(made.dependency_keys)


@pytest.mark.parametrize(
    ("table", "asset"), [("Aufträge", "Auftrage"), ("crm.orders", "crm_orders"), ("日本", "_65e5_672c"), ("a-b", "a-b")]
)
def test_its_name_stays_as_near_as_can_be(table: str, asset: str) -> None:
    assert raw_path(table) == asset_path(f"warehouse/{table}") == ["warehouse", asset]
