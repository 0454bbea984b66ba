"""What the steps before a step make of its columns, where that decides whether the step is packed; known unfitted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penstock.artifact.packing.boosting.catboost import CATBOOST
from penstock.artifact.packing.boosting.xgboost import XGBOOST
from penstock.artifact.packing.families import TRANSFORMERS
from penstock.artifact.packing.features import SELECTORS
from penstock.artifact.packing.inverse import EXACT, TO_ZERO, in_double
from penstock.artifact.packing.model import public_name
from penstock.artifact.packing.projections import PROJECTIONS
from penstock.artifact.packing.texts import TEXTS

COMPARING = ("KBinsDiscretizer", "OneHotEncoder", "OrdinalEncoder", "TargetEncoder", "QuantileTransformer")
"""Transformers for which numbers that differ in the last bit are other numbers."""
_ROUNDED = (*PROJECTIONS, "SplineTransformer", "PowerTransformer")
ENCODERS = ("OneHotEncoder", "OrdinalEncoder")
KEEPING = ("", "FunctionTransformer", *SELECTORS)
"""Steps that leave truth values and integers what they are; "" is for "passthrough"."""
_AROUND = ("estimator", "regressor")
_JOINED = ("ColumnTransformer", "FeatureUnion", "FrozenEstimator")


@dataclass(frozen=True)
class Columns:
    """What a step hands on.

    - `sparse`: whether it may be a sparse matrix.
    - `stored_zeros`: what may have stored zeros in it, and how to leave them out; empty if nothing has.
    - `rounded`: the step whose numbers are not those of scikit-learn in the last bit; empty if all are.
    - `partly`: whether there may be columns beside those of `rounded`.
    - `integers`: the dtype of columns of truth values or integers; empty if there are none. `floats`: whether there are
      others.
    """

    sparse: bool = False
    stored_zeros: str = ""
    rounded: str = ""
    partly: bool = False
    integers: str = ""
    floats: bool = True


def obstacles_before(part: Any, before: Columns | None = None) -> Iterator[str]:
    """Why a step is not packed behind those that come before it."""
    before = before or Columns()
    name = public_name(part)
    if name == "Pipeline":
        for _, step in part.steps:
            yield from obstacles_before(step, before)
            before = _after(step, before)
        return
    if name in XGBOOST and before.stored_zeros:
        yield f"XGBoost takes a zero that a sparse matrix holds for a number, others as missing: {before.stored_zeros}"
    if name == "QuantileTransformer" and before.sparse and before.stored_zeros:
        yield f"QuantileTransformer is packed behind a matrix without stored zeros: {before.stored_zeros}"
    if name in COMPARING and before.rounded:
        yield (
            f"{name} compares to the last bit, which {before.rounded} before it has not in common with a packed model:"
            f" put {name} before it, or leave one out"
        )
    if name == "FunctionTransformer" and not before.floats and not in_double(part.func, before.integers):
        yield (
            f"numpy computes {part.func.__name__} of {before.integers} otherwise than of float64: let the step before"
            " FunctionTransformer make that, by its dtype or a scaler"
        )
    if name in CATBOOST and part.get_params().get("cat_features") and before.integers not in ("", "bool"):
        yield (
            "CatBoost keeps a file of its own for numbers as categories, where nothing is around it: leave them texts,"
            " or leave out the dtype of the encoder"
        )
    if name == "ColumnTransformer" and before.partly:
        before = replace(before, rounded="")  # which of the columns it takes is not known yet
    selects = name in TRANSFORMERS and name not in _JOINED  # its estimator has done its work when it is fitted
    members = [] if selects else [getattr(part, attribute, None) for attribute in _AROUND]
    members += [member for _, member, *_ in _members(part)]
    for member in members:
        if member is not None and not isinstance(member, str):
            yield from obstacles_before(member, before)


def _members(part: Any) -> list[Any]:
    lists = (getattr(part, name, None) for name in ("transformers", "transformer_list", "estimators"))
    return [member for members in lists for member in members or ()] + [("", getattr(part, "remainder", None))]


def _after(step: Any, before: Columns) -> Columns:
    """The columns behind a step, of those before it."""
    name = public_name(step)
    if name == "Pipeline":
        for _, inner in step.steps:
            before = _after(inner, before)
        return before
    if name in ("ColumnTransformer", "FeatureUnion"):
        members = [member for _, member, *_ in _members(step) if member not in (None, "drop")]
        return _joined(step, [_after(member, before) for member in members])
    rounded, partly = before.rounded, before.partly
    if name in _ROUNDED or _rounds(name, step, before):
        rounded, partly = name, False
    elif name in COMPARING:
        rounded = ""
    kinds = _integers(name, step, before)
    return Columns(_sparse(name, step, before), _stored_zeros(name, step, before), rounded, partly, *kinds)


def _integers(name: str, step: Any, before: Columns) -> tuple[str, bool]:
    """`integers` and `floats` behind a step."""
    if name in ENCODERS or name in TEXTS:
        dtype = np.dtype(getattr(step, "dtype", np.float64))
        return (dtype.name, False) if dtype.kind in "iub" else ("", True)
    if name == "MissingIndicator" or (name == "FunctionTransformer" and step.func is np.isnan):
        return "bool", False
    return (before.integers, before.floats) if name in KEEPING else ("", True)


def _rounds(name: str, step: Any, before: Columns) -> bool:
    if name == "Normalizer":
        return step.norm != "max" and not before.sparse
    return name == "FunctionTransformer" and step.func is not None and step.func not in EXACT


def _joined(step: Any, parts: list[Columns]) -> Columns:
    """Side by side."""
    dense = getattr(step, "sparse_threshold", 1.0) == 0
    rounded = next((part.rounded for part in parts if part.rounded), "")
    zeros = next((part.stored_zeros for part in parts if part.stored_zeros), "")
    partly = any(part.partly or not part.rounded for part in parts)
    integers = next((part.integers for part in parts if part.integers), "")
    floats = any(part.floats for part in parts)
    sparse = not dense and any(part.sparse for part in parts)
    return Columns(sparse, "" if dense else zeros, rounded, partly, integers, floats)


def _sparse(name: str, step: Any, before: Columns) -> bool:
    if name in ("OneHotEncoder", "SplineTransformer"):
        return bool(step.sparse_output)
    if name == "KBinsDiscretizer":
        return bool(step.encode == "onehot")
    if name in PROJECTIONS:
        return before.sparse and getattr(step, "dense_output", True) is False
    return before.sparse or name in TEXTS or getattr(step, "sparse", False) is True


def _stored_zeros(name: str, step: Any, before: Columns) -> str:
    if name == "SplineTransformer":
        return "sparse_output=False of SplineTransformer leaves them out" if step.sparse_output else ""
    if name == "HashingVectorizer":
        return "alternate_sign=False of HashingVectorizer leaves them out" if step.alternate_sign else ""
    if not _sparse(name, step, before):
        return ""
    makes = name == "QuantileTransformer" or (name == "FunctionTransformer" and step.func in TO_ZERO)
    if makes or (name == "SimpleImputer" and step.strategy != "mean"):
        return before.stored_zeros or f"a dense matrix before {name} leaves them out"
    return before.stored_zeros
