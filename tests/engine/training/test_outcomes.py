"""Outcomes as warehouses have them: mapped to declared classes, or refused in a sentence before anything is fitted."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from penstock.contract.contract import ContractError, Feature, Output, vector
from penstock.declare.model import GateRule, Model
from penstock.errors import PenstockError
from penstock.training.frame import TrainingRows, training_rows
from penstock.training.gate import compare, decide
from penstock.training.outcomes import OutcomeError, demand_outcomes, encode, numbers
from tests.engine.training.tanks import CONTRACT, tank_model


def classifier(*classes: str) -> Model:
    contract = msgspec.structs.replace(CONTRACT, output=Output("state", "classifier", classes))
    metric: Any = "log_loss" if len(classes) > 2 else "roc_auc"
    return replace(tank_model(lambda: None), contract=contract, gate=GateRule(metric, 1.0))


def rows(outcome: list[float], left_out: int = 0) -> TrainingRows:
    return TrainingRows({}, np.array(outcome, dtype=np.float64), left_out=left_out)


@pytest.mark.parametrize(
    ("classes", "labels", "places"),
    [
        (("1", "2", "3", "4", "5"), [1, 5, 3], [0, 4, 2]),
        (("-1", "1"), [-1, 1, 1], [0, 1, 1]),
        (("no", "yes"), [True, False], [1, 0]),
        (("false", "true"), [True, False], [1, 0]),
        (("true", "false"), [True, False], [0, 1]),
        (("not late", "very late"), ["very late", "not late"], [1, 0]),
        (("on_time", "late"), [1, 0], [1, 0]),
        (("1", "0"), [1, 0], [0, 1]),
        ((), [0, 1], [0, 1]),
        (("1", "2"), [1.0, 2.0], [0, 1]),
    ],
)
def test_a_label_is_the_class_of_the_same_text_else_an_index(
    classes: tuple[str, ...], labels: list[Any], places: list[int]
) -> None:
    assert encode(classifier(*classes), pa.chunked_array([labels])).tolist() == places


def test_every_label_without_a_class_is_named_at_once() -> None:
    with pytest.raises(OutcomeError, match="expected one of a, b, found 'c', 'B'"):
        encode(classifier("a", "b"), pa.chunked_array([["a", "c", "B", "b"]]))
    with pytest.raises(OutcomeError, match="expected one of a, b, found '2', '0', '7'"):
        encode(classifier("a", "b"), pa.chunked_array([[2, 0, 7]]))


def test_a_null_outcome_is_never_a_negative() -> None:
    model = classifier("a", "b")
    assert np.isnan(encode(model, pa.chunked_array([["a", None]]))[1])
    with pytest.raises(OutcomeError, match="1 of 3 training rows without a finite outcome; 2 of 2 held-out rows"):
        demand_outcomes(model, rows([0, 1, np.nan]), rows([np.nan, np.inf]))


def test_null_outcomes_are_left_out_and_counted_where_the_model_says_so() -> None:
    model = replace(tank_model(lambda: None), null_outcome="leave_out")
    kinds = {"number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    columns = {name: pa.nulls(3, kinds[kind]) for name, kind in model.contract.input_kinds().items()}
    made = training_rows(model, pa.table(columns | {model.outcome: pa.array([1, None, 0])}))
    assert made.outcome.tolist() == [1, 0]
    assert made.left_out == 1
    assert {len(values) for values in made.vectors.values()} == {2}


@pytest.mark.parametrize(
    ("training", "holdout", "found"),
    [
        ([0, 0], [0, 1], "no training row of class 'b'"),
        ([0, 1], [1, 1], "all held-out rows of class 'b', which roc_auc cannot judge"),
        ([], [], "no training rows; no held-out rows"),
        ([0, 1], [], "no held-out rows"),
    ],
)
def test_what_cannot_be_trained_on_or_judged_is_refused_before_it_is_fitted(
    training: list[float], holdout: list[float], found: str
) -> None:
    with pytest.raises(OutcomeError, match=found):
        demand_outcomes(classifier("a", "b"), rows(training), rows(holdout))


def test_too_few_held_out_rows_are_refused() -> None:
    model = replace(classifier("a", "b"), gate=GateRule("roc_auc", 0.5, minimum_rows=30))
    with pytest.raises(OutcomeError, match="2 held-out rows, fewer than minimum_rows 30"):
        demand_outcomes(model, rows([0, 1]), rows([0, 1]))


def test_a_slice_of_one_class_or_of_few_rows_is_a_reason_and_no_pass() -> None:
    rule = GateRule("roc_auc", 0.5, slice_by="site", slice_floor=0.5, minimum_rows=3)
    outcome, score = np.array([0.0, 1, 0, 1, 1, 1, 1]), np.array([0.1, 0.9, 0.2, 0.8, 0.7, 0.9, 0.9])
    slices = np.array(["a", "a", "a", "b", "b", "b", "c"], dtype=object)
    decision = decide(compare(rule, outcome, score, slices=slices))
    assert decision.reasons == (
        "roc_auc on b is not a number (one class only?) for 0.5",
        "c has 1 row, fewer than minimum_rows 3",
    )


def test_decimals_are_the_floats_that_postgres_serves() -> None:
    texts = ["0.35", "6.02", "0.1", "123456789.12"]
    values = pa.chunked_array([pa.array([Decimal(text) for text in texts], pa.decimal128(12, 2))])
    assert numbers(values).tolist() == [float(text) for text in texts]


def test_a_number_that_a_float_cannot_hold_is_refused_by_name() -> None:
    model = tank_model(lambda: None)
    kinds = {"number": pa.int64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    columns = {name: pa.nulls(1, kinds[kind]) for name, kind in model.contract.input_kinds().items()}
    name = next(feature.name for feature in model.contract.features if feature.kind == "number")
    table = pa.table(columns | {name: pa.array([2**53 + 1]), model.outcome: pa.array([1.0])})
    with pytest.raises(PenstockError, match=f"column '{name}' of the training set: expected numbers that a float64"):
        training_rows(model, table)


@pytest.mark.parametrize("values", [[1, 2], [True, False], [Decimal("1.5"), None], np.array([1, 2], np.float32)])
def test_a_feature_may_be_of_any_numeric_type(values: Any) -> None:
    found = np.asarray(values) if not isinstance(values, np.ndarray) else values
    assert vector(Feature("f", "number"), found, 2, "m").dtype == np.float64


@pytest.mark.parametrize("values", [1.0, [1.0], [1.0, 2.0, 3.0], ["1", "2"], [[1.0], [2.0]], None])
def test_a_value_that_is_no_column_of_numbers_names_the_feature(values: Any) -> None:
    with pytest.raises(ContractError, match="feature 'f' of model 'm': expected a numpy array of 2 numbers, found"):
        vector(Feature("f", "number"), values, 2, "m")


def test_weights_that_are_no_weights_are_refused() -> None:
    model = replace(tank_model(lambda: None), sample_weight="w")
    kinds = {"number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us", "UTC")}
    columns = {name: pa.nulls(2, kinds[kind]) for name, kind in model.contract.input_kinds().items()}
    good = pa.table(columns | {model.outcome: pa.array([1.0, 0.0]), "w": pa.array([0.5, 2.0])})
    assert training_rows(model, good).weights is not None
    with pytest.raises(OutcomeError, match=r"sample_weight 'w' of model .* 2 rows with another value"):
        training_rows(model, good.set_column(good.schema.get_field_index("w"), "w", pa.array([-1.0, None])))
