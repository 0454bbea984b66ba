"""What an estimator answers in its own library, and whether its artifact answers the same."""

import importlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from penstock.artifact.native import Artifact
from penstock.artifact.packing.estimators import answering
from penstock.artifact.packing.inverse import in_numpy
from penstock.artifact.packing.model import public_name
from penstock.artifact.scores import own_scores
from penstock.artifact.skops_parts import parts
from penstock.declare.model import Model
from penstock.errors import ContractError, PenstockError
from penstock.training.frame import TrainingRows, feature_frame, frame_for

Array = np.ndarray[Any, Any]
PARITY = 1e-12
"""The largest difference allowed, for a number above 1 as a share of it."""
MOST_SAID = 300
"""Characters of a library's own words that an error repeats."""
SUMMANDS = 100
"""Sums in another order may differ by so many times what the last bits of their summands make."""
ALONE = 5
"""Held-out rows that a stored estimator is asked about one by one."""
SINGLE_PARITY = 1e-6
"""The same where the library answers in float32, whose exponential numpy rounds otherwise than libm does."""


_SOFTMAX = "multi:softmax"
_ENLARGING = ("FastICA", "PCA", "IncrementalPCA", "TruncatedSVD", "PowerTransformer")
"""Steps whose numbers may be small differences of large ones."""


class ParityError(PenstockError):
    """The artifact does not reproduce the estimator's own predictions on the held-out rows."""


def own_predictions(model: Model, estimator: Any, rows: TrainingRows, trained_on: pd.DataFrame) -> Array:
    """The predictions of the estimator itself, in its own precision, in the shape in which its artifact answers.

    XGBoost refuses a category that it has not seen, or takes it for another one. The artifact takes it as missing, as
    LightGBM and scikit-learn's boosting do: so XGBoost is asked about a missing one. Texts that a step encodes stay.
    """
    frame = feature_frame(rows.vectors)
    read = _categories_of_xgboost(estimator)
    texts = [str(name) for name in frame if any(one == name or one.endswith(f"__{name}") for one in read)]
    frame = frame.assign(**{name: frame[name].cat.set_categories(trained_on[name].cat.categories) for name in texts})
    frame = frame_for(estimator, frame)
    output = model.contract.output
    thing = f"estimator {type(estimator).__name__} of model {model.contract.model!r}"
    try:
        answered = (
            own_scores(estimator, frame) if output.scores else np.asarray(_answers(estimator, frame, output.kind))
        )
    except PenstockError:
        raise
    except Exception as error:  # LightGBM, CatBoost and a team's own code have errors of their own
        raise PenstockError(
            thing,
            expected="one that predicts the held-out rows as they are",
            found=str(error).strip().partition("\n")[0][:MOST_SAID] or type(error).__name__,
            todo="Let it take what training rows have not, as OneHotEncoder(handle_unknown='ignore') does.",
        ) from error
    if unknown := int(np.count_nonzero(~np.isfinite(answered).all(axis=tuple(range(1, answered.ndim))))):
        raise PenstockError(
            thing,
            expected="a number as the answer to every held-out row",
            found=f"{unknown:,} without",
            todo="Regularise or clip that of which an exponential is taken: it overflows far from training rows.",
        )
    if output.scores:
        return answered
    width = len(output.classes) if output.kind == "classifier" else len(output.values)
    wanted = (len(frame), width) if width else (len(frame),)
    if answered.shape != wanted:
        todo = "Declare them as `values` of the contract's Output." if output.kind == "regressor" and not width else ""
        if output.kind == "classifier" and not hasattr(estimator, "predict_proba"):
            todo = f"Choose an objective of {width} classes, such as multiclass."
        found = f"predictions of shape {answered.shape}"
        raise PenstockError(f"estimator {type(estimator).__name__}", expected=f"{wanted}", found=found, todo=todo)
    return answered if answered.dtype == np.float32 else answered.astype(np.float64)


def _answers(estimator: Any, frame: pd.DataFrame, kind: str) -> Any:
    """What the estimator predicts. A native booster has no predict_proba: of two classes it says the second's alone."""
    name = public_name(estimator)
    if kind == "classifier" and hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(frame)
    if name == "xgboost.Booster":
        found = _of_booster(_with_probabilities(estimator), frame)
    elif kind == "classifier" and name == "catboost.CatBoost":
        found = estimator.predict(frame, prediction_type="Probability")
    else:
        found = estimator.predict(frame)
    return np.column_stack([1 - found, found]) if kind == "classifier" and found.ndim == 1 else found


def _of_booster(booster: Any, frame: pd.DataFrame) -> Any:
    """What a booster of XGBoost predicts. One of dart sums otherwise in place, and a linear one does not at all."""
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind == "gbtree":
        return booster.inplace_predict(frame)
    matrix = importlib.import_module(type(booster).__module__).DMatrix(frame, enable_categorical=True)
    return booster.predict(matrix)


def _with_probabilities(booster: Any) -> Any:
    """A native booster of multi:softmax says nothing but labels; a copy of it says their probabilities."""
    if json.loads(booster.save_config())["learner"]["objective"]["name"] != "multi:softmax":
        return booster
    copied = booster.copy()
    copied.set_param({"objective": "multi:softprob"})
    return copied


def allowed_parity(estimator: Any, expected: Array) -> float:
    """PARITY, or SINGLE_PARITY where the estimator, or what takes part in its answer, computes a function in float32.

    numpy rounds sinh and its like of float32 otherwise than libm, and from one processor to the next.
    """
    return SINGLE_PARITY if expected.dtype == np.float32 or _rounds_in_single(estimator) else PARITY


def demand_kind(model: Model, artifact: Artifact) -> None:
    """PenstockError where a native booster's objective makes it answer values for a classifier, or classes for values.

    Other estimators are what they are called.
    """
    declared = model.contract.output.kind
    if artifact.kind != declared:
        raise PenstockError(
            f"estimator {artifact.estimator} of model {model.contract.model!r}",
            expected=f"a {declared}",
            found=f"a {artifact.kind}, by its objective",
            todo="Choose another objective, such as binary for two classes.",
        )


def demand_parity(
    artifact: Artifact,
    found: Array,
    expected: Array,
    allowed: float,
    estimator: Any = None,
    vectors: Mapping[str, Array] | None = None,
) -> float:
    """The largest difference of the artifact's predictions from the estimator's own; ParityError if it is too large.

    `vectors`: the rows that were predicted, to say whether the model itself makes much of their last bits.
    """
    difference, worst = np.inf, 0
    expected = expected.astype(np.float64)
    if found.shape == expected.shape:
        with np.errstate(invalid="ignore"):
            apart = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
        apart = np.where(found == expected, 0.0, apart)
        difference = float(np.max(apart, initial=0.0))
        worst = int(np.argmax(apart)) // max(apart[:1].size, 1)
    if not difference <= allowed:
        todo = "The candidate is not stored. Report the estimator and its options as a bug of packing."
        causes = _enlarging(estimator)
        if causes:
            todo = f"The candidate is not stored. {' and '.join(causes)} enlarged rounding, or trees compared it."
            todo += " Scale the columns before it, set fewer n_components, or leave it out."
        elif any(getattr(one, "objective", "") == _SOFTMAX for one in _parts(estimator)):
            todo = "The candidate is not stored. Set objective='multi:softprob' of XGBoost, which predicts the same:"
            todo += f" the probabilities of {_SOFTMAX} are scipy's, in float32."
        elif vectors and difference <= SUMMANDS * (moved := _moved(artifact, vectors, worst)):
            todo = (
                f"The candidate is not stored. The last bits of a row's numbers alone move its answer by {moved:.1g}:"
            )
            todo += " large coefficients of columns that are nearly the same, or an exponential of a large number."
            todo += " Regularise more (Ridge with a larger alpha), leave out such columns, or scale them."
        elif allowed == SINGLE_PARITY:
            todo += " What is computed in float32 around XGBoost, and read by another estimator, can be the cause."
        raise ParityError(
            f"artifact of {artifact.estimator}",
            expected=f"the estimator's own predictions within {allowed}, shape {expected.shape}",
            found=f"a difference of {difference}, shape {found.shape}",
            todo=todo,
        )
    return difference


def demand_alone(artifact: Artifact, vectors: Mapping[str, Array], found: Array) -> None:
    """ParityError where a stored estimator answers a row alone, as a request comes, otherwise than among others.

    What is packed answers each row by itself. `found` are the predictions of all rows.
    """
    if artifact.fallback is None:
        return
    for at in np.unique(np.linspace(0, len(found) - 1, min(ALONE, len(found))).astype(np.int64)):
        try:
            alone = artifact.predict({name: values[at : at + 1] for name, values in vectors.items()})
            same = np.allclose(alone, found[at : at + 1], rtol=SINGLE_PARITY, atol=SINGLE_PARITY)
            said = f"{alone[0]} and {found[at]}"
        except ContractError as error:
            same, said = False, error.found
        if not same:
            raise ParityError(
                f"artifact of {artifact.estimator}",
                expected="the same answer to a row alone and among others",
                found=said,
                todo="Choose steps that look at each row by itself, and for GaussianProcessRegressor a larger alpha.",
            )


def _moved(artifact: Artifact, vectors: Mapping[str, Array], at: int) -> float:
    """How far the last bits of its numbers move the answer to a row in all, for an answer above 1 as a share of it."""
    row = {name: values[at : at + 1] for name, values in vectors.items()}
    base, total = artifact.predict(row), 0.0
    for name, values in row.items():
        if values.dtype == np.float64 and np.isfinite(values[0]):
            beside = artifact.predict(row | {name: np.nextafter(values, np.inf)})
            with np.errstate(invalid="ignore"):
                total += float(np.max(np.abs(beside - base) / np.maximum(1.0, np.abs(base))))
    return np.inf if np.isnan(total) else total


def _enlarging(estimator: Any) -> list[str]:
    """The steps in the estimator after which rounding may be as large as what they answer."""
    names = {public_name(one) for one in _parts(estimator)}
    return [name for name in _ENLARGING if name in names]


def _rounds_in_single(estimator: Any) -> bool:
    """Whether something in the estimator computes in float32 from what XGBoost answers: a target's function of numpy,
    the last estimator of a stack of XGBoost alone, or whatever reads the probabilities of multi:softmax, which are
    scipy's."""
    for one in _parts(answering(estimator)):
        name = public_name(one)
        if name.startswith("xgboost.") and getattr(one, "objective", "") == _SOFTMAX:
            return True
        if name == "TransformedTargetRegressor" and _holds_xgboost(one.regressor):
            if any(in_numpy(part) for way in (one.inverse_func, one.transformer) for part in _parts(way)):
                return True
        elif name in ("StackingClassifier", "StackingRegressor") and not one.passthrough:
            members = [member for _, member in one.estimators if member != "drop"]
            if all(map(_holds_xgboost, members)):
                return True
    return False


def _categories_of_xgboost(estimator: Any) -> set[str]:
    """The columns that XGBoost has read as categories, wherever it is, as the steps before it name them."""
    found: set[str] = set()
    if not (_holds_xgboost(estimator) or _holds_xgboost(answering(estimator))):  # most have none: no look at every part
        return found
    for one in parts(estimator, set(), "feature_types"):
        if hasattr(one, "get_booster") and not one.__sklearn_is_fitted__():
            continue  # what a wrapper was given, and has cloned
        booster = one.get_booster() if hasattr(one, "get_booster") else one
        types = zip(booster.feature_names or (), booster.feature_types or (), strict=False)
        found |= {name for name, kind in types if kind == "c"}
    return found


def _holds_xgboost(estimator: Any) -> bool:
    return any(type(part).__module__.partition(".")[0] == "xgboost" for part in _parts(estimator))


def _parts(estimator: Any) -> list[Any]:
    """The estimator, and what its parameters name, however deep."""
    return [estimator, *estimator.get_params(deep=True).values()] if hasattr(estimator, "get_params") else [estimator]
