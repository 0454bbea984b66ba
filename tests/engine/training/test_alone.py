"""Features are of each row by itself: what depends on the rows beside it is refused before anything is fitted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from penstock.contract.contract import Columns
from penstock.testing import NOON
from penstock.training.skew import SkewError, demand_each_alone
from tests.engine.training.tanks import CONTRACT, tank_model

ROWS = 200
RANDOM = np.random.default_rng(0)
TABLE = pa.table(
    {
        "tank": np.arange(ROWS),
        "inflow": RANDOM.random(ROWS),
        "level": RANDOM.random(ROWS),
        "site": ["north", "south"] * (ROWS // 2),
        "overflows": np.arange(ROWS) % 2,
        "asked_at": pa.array([NOON] * ROWS, pa.timestamp("us", "UTC")),
    }
)


def check(inflow: Callable[[Columns], Any], table: pa.Table = TABLE, **more: Any) -> None:
    def compute(columns: Columns) -> dict[str, Any]:
        return {"inflow": inflow(columns), "level": columns["level"], "site": columns["site"]}

    model = replace(tank_model(lambda: None), contract=msgspec.structs.replace(CONTRACT, compute=compute), **more)
    demand_each_alone(model, table)


@pytest.mark.parametrize(
    "inflow",
    [
        lambda columns: columns["inflow"] - columns["inflow"].mean(),
        lambda columns: np.argsort(np.argsort(columns["inflow"])),
        lambda columns: np.cumsum(columns["inflow"]),
        lambda columns: np.roll(columns["inflow"], 1),
        lambda columns: np.full(len(columns["inflow"]), len(columns["inflow"])),
        lambda columns: np.stack([columns["inflow"] / n for n in range(1, 20)]).sum(axis=0),
    ],
    ids=["mean", "rank", "running sum", "the row before", "number of rows", "sum that rounds by the number of rows"],
)
def test_a_feature_of_the_rows_beside_it_is_named(inflow: Callable[[Columns], Any]) -> None:
    with pytest.raises(SkewError, match=r"feature 'inflow' of model 'overflow': expected the same of a row alone"):
        check(inflow)


@pytest.mark.parametrize(
    "inflow",
    [
        lambda columns: np.log1p(np.exp(columns["inflow"])) ** 1.7,
        lambda columns: np.where(columns["site"] == "north", np.nan, columns["inflow"]),
        lambda columns: np.stack([columns["inflow"] / n for n in range(1, 20)], axis=1).sum(axis=1),
        lambda columns: (columns["inflow"] * 3).astype(np.int8),
    ],
    ids=["functions of numpy", "missing values", "a sum of its own columns", "whole numbers"],
)
def test_a_feature_of_its_own_row_is_none_the_worse(inflow: Callable[[Columns], Any]) -> None:
    check(inflow)
    check(inflow, TABLE.slice(0, 0))
    unknown = pa.array([None if n < 50 else n % 2 for n in range(ROWS)])
    check(inflow, TABLE.set_column(4, "overflows", unknown), null_outcome="leave_out")
