"""Rows outside the request's bounds are counted, shown, and refused beyond the share that the model declares."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.releases.card_text import markdown
from penstock.training.bounds import outside
from penstock.training.frame import read_rows
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew, skew
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import CONTRACT, rows_of, settings_in


class BoundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tanks' request, with bounds that some of the rows are beyond."""

    tank: Annotated[int, msgspec.Meta(ge=0, lt=1490)]
    inflow: Annotated[float, msgspec.Meta(ge=-2, le=2)]
    level: float | None
    site: Annotated[str, msgspec.Meta(max_length=5)]
    asked_at: datetime | None = None


@pytest.fixture
def model() -> Model:
    made = declared().model("overflow")
    return replace(made, contract=msgspec.structs.replace(CONTRACT, request=BoundRequest))


@pytest.mark.parametrize(
    ("annotation", "values", "expected"),
    [
        (Annotated[int, msgspec.Meta(ge=1, le=3)], [0, 1, 3, 4], "0..3"),
        (Annotated[float, msgspec.Meta(gt=1, lt=3)], [1.0, 1.5, 3.0, float("nan"), float("inf")], "0.2.4"),
        (Annotated[int, msgspec.Meta(ge=0)], [2**53 + 1, -(2**53) - 1], ".1"),
        (Annotated[str, msgspec.Meta(min_length=2, pattern="^[a-z]+$")], ["ab", "a", "AB", None], ".123"),
        (Annotated[str, msgspec.Meta(max_length=2)] | None, ["ab", "abc", None], ".1."),
        (Literal["a", "b"], ["a", "c"], ".1"),
        (Literal[1, 2] | None, [1, 3, None], ".1."),
        (float, [1.0, None], ".1"),
        (float | None, [1.0, None], ".."),
        (datetime | None, [datetime(2026, 1, 1, tzinfo=UTC), None], ".."),
        (datetime | None, [datetime(9999, 12, 31), datetime(9998, 12, 31), datetime(1, 1, 1), None], "0.2."),
        (date, [date(2026, 1, 1), date(9999, 12, 31), None], ".12"),
    ],
)
def test_each_type_of_bound(annotation: Any, values: list[Any], expected: str) -> None:
    request = msgspec.defstruct("Ask", [("x", annotation), ("asked_at", datetime | None, None)])
    times = pa.array([None] * len(values), pa.timestamp("us", "UTC"))
    table = pa.table({"x": pa.array(values), "asked_at": times})
    contract = msgspec.structs.replace(CONTRACT, request=BoundRequest)
    msgspec.structs.force_setattr(contract, "request", request)
    found = outside(contract, table).get("x", np.zeros(len(values), bool))
    assert "".join(str(place) if there else "." for place, there in enumerate(found)) == expected


def test_they_are_counted_and_a_greater_share_than_declared_is_refused(
    model: Model, tmp_path: Path, book: Book
) -> None:
    settings = settings_in(tmp_path)
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03", seed=1)
    rows = read_rows(model, training)
    inflow = np.asarray(training.batches().read_all().column("inflow"))
    assert rows.outside.fields == {"tank": 10, "inflow": int(np.count_nonzero(np.abs(inflow) > 2))}
    assert rows.outside.fields["inflow"] > 20
    assert 20 < rows.outside.count <= sum(rows.outside.fields.values())
    nothing = Skew(0, {}, {})
    said: list[str] = []
    made = TrainingRun(settings, replace(model, rows_outside=0.1), "2026-03").train(
        training, holdout, nothing, book, said.append
    )
    assert made.proposal.metrics["rows_outside_bounds"] > rows.outside.count
    assert any("rows outside the bounds of the request: tank 20, inflow" in line for line in said)
    assert "## Outside the bounds of the request" in markdown(made.card)
    assert "tank | 20" in markdown(made.card)
    run = TrainingRun(settings, replace(model, rows_outside=0.01), "2026-03")
    with pytest.raises(
        PenstockError, match=r"at most 1.00% outside the bounds .*found \d+ of 3,000, .*: tank 20, infl"
    ):
        run.train(training, holdout, nothing, book, said.append)


def test_they_are_not_compared_with_serving_which_would_refuse_them(model: Model, tmp_path: Path, book: Book) -> None:
    rows = rows_of(settings_in(tmp_path), "2026-02")
    compared = skew(book, model, rows, rows=1500)
    assert 1400 < compared.rows < 1490
    assert not compared.differing


def test_a_share_that_is_none_is_refused(model: Model) -> None:
    with pytest.raises(PenstockError, match=r"rows_outside of model 'overflow': expected a share from 0 to 1, found 2"):
        replace(model, rows_outside=2.0)
    columns = replace(model, shape=None, rows_outside=0.1).rows_shape.columns
    bounded = replace(model, shape=None).rows_shape.columns
    assert len(columns["inflow"].checks) == 1
    assert len(bounded["inflow"].checks) == 3
