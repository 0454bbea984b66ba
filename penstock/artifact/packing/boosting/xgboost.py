"""XGBoost: its JSON, which holds every number exactly, as nodes in its float32. Packing does not import it."""

import ctypes
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np

from penstock.artifact.packing.boosting.boosters import (
    BoosterTree,
    Codes,
    booster_arrays,
    encode,
    input_numbers,
    players_of,
)
from penstock.artifact.packing.model import Model
from penstock.artifact.packing.program import Block, Column, ProgramBuilder, unsupported
from penstock.artifact.program import Link, Op

Array = np.ndarray[Any, Any]
_WRAPPERS = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
XGBOOST = (*(f"xgboost.{name}" for name in _WRAPPERS), "xgboost.Booster")
_IDENTITY = (
    "reg:squarederror",
    "reg:linear",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "binary:logitraw",
    "rank:ndcg",
    "rank:map",
    "rank:pairwise",
)
_SHARES = ("reg:logistic", "binary:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_CLASSES = {
    "binary:logistic": Link.SINGLE_LOGIT,
    "binary:hinge": Link.HINGE,
    "multi:softprob": Link.SINGLE_SOFTMAX,
    "multi:softmax": Link.SINGLE_SOFTMAX,
}
_NEAR = np.float32(1e-6)
"""A base score that is a probability stays so far from 0 and 1."""
_NUMBER, _CATEGORY = 0, 1
"""A node's split_type."""


def pack_xgboost(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The sum of the base score and one leaf value per tree, in float32, up to the best iteration if there is one."""
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient = learner["gradient_booster"]
    if gradient["name"] == "gblinear":
        raise unsupported(
            estimator, "booster='gbtree' or 'dart', or a linear model of scikit-learn", "booster='gblinear'"
        )
    weights = gradient.get("weight_drop")
    model = gradient["gbtree"]["model"] if weights is not None else gradient["model"]
    kind, link = _link(estimator, learner["objective"]["name"])
    several = int(learner["learner_model_param"].get("num_target", 1))
    outputs = max(int(learner["learner_model_param"]["num_class"]), several, 1)
    if several > 1 and kind == "classifier":
        raise unsupported(estimator, "one output", str(several))
    if any(tree["tree_param"]["size_leaf_vector"] not in ("0", "1") for tree in model["trees"]):
        raise unsupported(estimator, "multi_strategy='one_output_per_tree'", "several values in a leaf")
    ends = model["iteration_indptr"]
    count = ends[min(_iterations(estimator), len(ends) - 1)]
    base = _base(learner, outputs)
    inputs = _Inputs(builder, estimator, block, model, count)
    trees = [inputs.tree(tree) for tree in model["trees"][:count]]
    targets = np.array(model["tree_info"][:count], dtype=np.int64)
    if weights is not None:
        wrapped = hasattr(estimator, "get_booster")
        trees = [
            _dropped(tree, np.float32(weight), base[target] if wrapped else None)
            for tree, weight, target in zip(trees, weights[:count], targets.tolist(), strict=True)
        ]
    arrays = booster_arrays(estimator, trees, inputs.codes, unknown_left=True) | {"base": base.astype(np.float64)}
    if not np.array_equal(targets, np.arange(count) % outputs):
        arrays["targets"] = targets
    arrays["players"] = players_of(builder, inputs.columns, inputs.places())
    return Model("trees", kind, link, arrays, single=True)


def obstacles(name: str, told: dict[str, Any]) -> Iterator[str]:
    """What the parameters of an unfitted estimator say against packing it."""
    if told.get("booster") == "gblinear":
        yield f"{name} is packed with booster='gbtree' or 'dart', not 'gblinear'; linear models of scikit-learn are"
    if told.get("multi_strategy") == "multi_output_tree":
        yield f"{name} is packed with multi_strategy='one_output_per_tree'"
    objective = told.get("objective")
    known = tuple(_CLASSES) if "Classifier" in name else (*_IDENTITY, *_EXPONENTIAL, *_SHARES, "binary:hinge")
    if callable(objective) and "Classifier" in name:
        yield f"{name} has no probabilities with an objective of one's own"
    elif isinstance(objective, str) and objective not in known:
        yield f"{name} is packed with an objective of {', '.join(known)}, not with {objective!r}"


def _iterations(estimator: Any) -> int:
    """How many iterations a prediction takes: a wrapper stops at the best one, a booster at the last."""
    best = getattr(estimator, "best_iteration", None) if hasattr(estimator, "get_booster") else None
    return 2**62 if best is None else int(best) + 1


def _link(estimator: Any, objective: str) -> tuple[Literal["classifier", "regressor"], Link]:
    """`PredTransform` of src/objective/."""
    own = type(estimator).__name__
    if "Classifier" in own or (own == "Booster" and objective in _CLASSES):
        if objective not in _CLASSES:
            raise unsupported(estimator, f"an objective of {', '.join(_CLASSES)}, which have probabilities", objective)
        return "classifier", _CLASSES[objective]
    if objective in _SHARES:
        return "regressor", Link.SINGLE_EXPIT
    if objective in _EXPONENTIAL:
        return "regressor", Link.SINGLE_LOG
    if objective == "binary:hinge":
        return "regressor", Link.STEP
    if objective not in _IDENTITY:
        raise unsupported(estimator, "an objective with one output per row", objective)
    return "regressor", Link.IDENTITY


def _base(learner: dict[str, Any], outputs: int) -> Array:
    """The base score of each output as a raw score: `ProbToMargin` of src/objective/, in float32 by libm."""
    text = learner["learner_model_param"]["base_score"].strip("[]")
    given = np.array([float(part) for part in text.split(",")], dtype=np.float32)
    objective = learner["objective"]["name"]
    if objective in _SHARES:
        given = given.clip(_NEAR, np.float32(1) - _NEAR)
        given = np.array([-_single_log()(np.float32(1) / one - np.float32(1)) for one in given], dtype=np.float32)
    elif objective in _EXPONENTIAL:
        given = np.array([_single_log()(one) for one in given], dtype=np.float32)
    return np.broadcast_to(given, (outputs,)).copy()


def _dropped(tree: BoosterTree, weight: np.float32, base: np.float32 | None) -> BoosterTree:
    """A tree of dart, weighted. The wrapper's prediction adds the base score and takes it away, which rounds."""
    values = tree.value.astype(np.float32)
    if base is not None:
        values = (values + base) - base
    return replace(tree, value=np.where(tree.left < 0, values * weight, tree.value))


def _single_log() -> Callable[[Any], float]:
    try:
        function = ctypes.CDLL(None).logf
    except (OSError, AttributeError, TypeError):
        return lambda value: math.log(value) if value > 0 else -math.inf
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return function


class _Inputs:
    """The slots that nodes ask: numbers in float32 with NaN where they are missing, and the codes of categories."""

    def __init__(
        self,
        builder: ProgramBuilder,
        estimator: Any,
        block: Block,
        model: dict[str, Any],
        count: int,
    ) -> None:
        self.columns = columns = input_numbers(builder, estimator, block, _categories(builder, estimator, block, model))
        missing = getattr(estimator, "missing", None)
        if block.sparse and any(told.alternate_sign for told in builder.vectorizers):
            # Terms that cancel out are zero in a sparse matrix, not missing.
            raise unsupported(estimator, "terms that are hashed with alternate_sign=False", "alternate_sign=True")
        if block.sparse and builder.stored_zeros:
            raise unsupported(estimator, "splines before it with sparse_output=False", "True, where zeros are stored")
        for column in columns:
            if block.sparse:  # what a sparse matrix does not hold is missing
                builder.emit(Op.FILL, column.slot, column.slot, builder.constants([0.0, np.nan]))
            builder.emit(Op.FLOAT32, column.slot, column.slot)
            if missing is not None and not math.isnan(missing):
                start = builder.constants([np.float32(missing), np.nan])
                builder.emit(Op.FILL, column.slot, column.slot, start)
        self._slots = np.array([column.slot for column in columns], dtype=np.int64)
        self._coded = self._slots.copy()
        self.codes: dict[int, Codes] = {}
        self._known: dict[int, frozenset[int]] = {}
        for tree in model["trees"][:count]:
            for at, categories in _sets(tree).items():
                feature = tree["split_indices"][at]
                self._known[feature] = self._known.get(feature, frozenset()) | categories
        for feature, used in sorted(self._known.items()):
            codes = encode(builder, columns[feature], used, Op.FLOOR)
            self.codes[codes.slot] = codes
            self._coded[feature] = codes.slot

    def places(self) -> dict[int, int]:
        """The slots of codes -> the place of their column."""
        return {int(slot): place for place, slot in enumerate(self._coded)}

    def tree(self, tree: dict[str, Any]) -> BoosterTree:
        """A tree of the JSON. What is below the threshold goes left; a set's categories go right."""
        left, right = (np.array(tree[name], dtype=np.int64) for name in ("left_children", "right_children"))
        leaf = left < 0
        features = np.where(leaf, 0, np.array(tree["split_indices"], dtype=np.int64))
        conditions = np.array(tree["split_conditions"], dtype=np.float64).astype(np.float32)
        sets = _sets(tree)
        below = np.nextafter(conditions, np.float32(-np.inf))
        slots = np.where(np.isin(np.arange(len(left)), list(sets)), self._coded[features], self._slots[features])
        return BoosterTree(
            left=left,
            right=np.where(leaf, -1, right),
            value=np.where(leaf, conditions, below).astype(np.float64),
            slot=np.where(leaf, 0, slots),
            missing_left=np.array(tree["default_left"]) != 0,
            leaf_number=np.arange(len(left)),
            sets={at: self._known[features[at]] - categories for at, categories in sets.items()},
            cover=np.array(tree["sum_hessian"], dtype=np.float32).astype(np.float64),
        )


def _sets(tree: dict[str, Any]) -> dict[int, frozenset[int]]:
    """Node -> the categories that it sends right. Pruning leaves those of nodes that split no longer."""
    return {
        at: frozenset(tree["categories"][first : first + size])
        for at, first, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
        )
        if tree["left_children"][at] >= 0
    }


def _categories(builder: ProgramBuilder, estimator: Any, block: Block, model: dict[str, Any]) -> dict[int, list[Any]]:
    """Column -> its categories in the frame that was fitted."""
    found: dict[int, list[Any]] = {}
    for feature, kept in enumerate(model.get("cats", {}).get("enc", [])):
        values = kept.get("values", [])
        if "offsets" not in kept:
            found[feature] = values
        elif kept["offsets"]:
            stored = bytes(value & 255 for value in values)
            if not stored.isascii():
                found[feature] = _whole(builder, estimator, block.columns[feature], stored, kept["offsets"])
                continue
            found[feature] = [stored[a:b].decode() for a, b in pairwise(kept["offsets"])]
    return {feature: values for feature, values in found.items() if values}


def _whole(builder: ProgramBuilder, estimator: Any, column: Column, stored: bytes, offsets: list[int]) -> list[str]:
    """Categories beyond ASCII: XGBoost counts characters where it stores bytes, and so loses the end of the last ones.

    Those of the training frame are taken, if what XGBoost has stored is their beginning.
    """
    known = list(builder.categories(column))
    if list(accumulate(map(len, known), initial=0)) != offsets or not "".join(known).encode().startswith(stored):
        raise unsupported(
            estimator, "the categories of the training frame, as XGBoost loses the end of those beyond ASCII", "others"
        )
    return known
