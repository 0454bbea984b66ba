"""LightGBM: its text format, which holds every number exactly, as nodes. Packing does not import it."""

from collections.abc import Iterator
from itertools import islice
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
from penstock.artifact.packing.program import Block, Number, ProgramBuilder, Text, unsupported
from penstock.artifact.program import Link, Op

Array = np.ndarray[Any, Any]
LIGHTGBM = ("lightgbm.LGBMClassifier", "lightgbm.LGBMRegressor", "lightgbm.LGBMRanker", "lightgbm.Booster")
ZERO = float(np.float32(1e-35))
"""kZeroThreshold of include/LightGBM/meta.h: a number not farther from zero is zero."""
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_ZERO, _MISSING_NAN = 1, 2, 4, 8
"""Bits of a node's decision_type, include/LightGBM/tree.h."""
_VALUES = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom")
_EXPONENTIAL = ("poisson", "gamma", "tweedie")
_CLASSES = ("binary", "cross_entropy", "multiclass", "multiclassova")
_OTHER_NAMES = {
    "xentropy": "cross_entropy",
    "softmax": "multiclass",
    "multiclass_ova": "multiclassova",
    "ova": "multiclassova",
    "ovr": "multiclassova",
}
_OBJECTIVE = ("objective", "objective_type", "application", "app", "loss")
"""A parameter by its names, and those of its values that have others."""
_AT_PREDICTION = ("pred_early_stop", "start_iteration_predict", "num_iteration_predict")


def pack_lightgbm(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The sum of one leaf value per iteration and class, in float64, up to the best iteration where there is one."""
    booster = getattr(estimator, "booster_", estimator)
    told = estimator.get_params() if hasattr(estimator, "get_params") else {}
    if any(told.get(name) for name in _AT_PREDICTION):
        raise unsupported(estimator, f"none of {', '.join(_AT_PREDICTION)}")
    text = booster.model_to_string()
    header, *sections = [_pairs(part) for part in text.partition("\nend of trees")[0].split("\nTree=")]
    if any(section["is_linear"] != "0" for section in sections):
        raise unsupported(estimator, "linear_tree=False", "a linear model in each leaf, which is not packed")
    kind, link, factor = _link(estimator, header.get("objective", "custom").split())
    outputs = int(header["num_tree_per_iteration"])
    if kind == "regressor" and outputs != 1:
        raise unsupported(estimator, "an objective with one output per row", f"{outputs} outputs")
    columns = input_numbers(builder, estimator, block, _categories(estimator, booster.pandas_categorical, text, block))
    inputs = _Inputs(builder, columns, sections)
    trees = [inputs.tree(section) for section in sections]
    arrays = booster_arrays(estimator, trees, inputs.codes, unknown_left=False) | {"base": np.zeros(outputs)}
    arrays["players"] = players_of(builder, columns, inputs.places())
    mean_of = float(len(trees) // outputs) if "average_output" in header else 1.0
    return Model("trees", kind, link, arrays, mean_of=mean_of, factor=factor)


def obstacles(name: str, told: dict[str, Any]) -> Iterator[str]:
    """What the parameters of an unfitted estimator say against packing it."""
    if told.get("linear_tree") or told.get("linear_trees"):
        yield f"{name} is packed with linear_tree=False"
    for option in _AT_PREDICTION:
        if told.get(option):
            yield f"{name} is packed without {option}"
    objective = next((told[key] for key in _OBJECTIVE if told.get(key)), None)
    known = _OTHER_NAMES.get(str(objective), str(objective))
    if name == "LGBMClassifier" and objective and known not in _CLASSES:
        told_so = "an objective of one's own" if callable(objective) else f"the objective {objective!r}"
        yield f"{name} has no probabilities with {told_so}"
    if name != "LGBMClassifier" and known in ("multiclass", "multiclassova"):
        yield f"{name} answers several values with the objective {objective!r}"


def _pairs(section: str) -> dict[str, str]:
    return {line.partition("=")[0]: line.partition("=")[2] for line in section.splitlines()}


def _link(estimator: Any, objective: list[str]) -> tuple[Literal["classifier", "regressor"], Link, float]:
    """The kind, the link, and by what the link multiplies scores: `ConvertOutput` of src/objective/*.hpp."""
    name = objective[0]
    factor = next((float(word.partition(":")[2]) for word in objective if word.startswith("sigmoid:")), 1.0)
    own = type(estimator).__name__
    classifies = own == "LGBMClassifier" or (own == "Booster" and name in ("binary", "multiclass", "multiclassova"))
    if classifies:
        links = {
            "binary": Link.LOGIT,
            "cross_entropy": Link.LOGIT,
            "multiclass": Link.SOFTMAX,
            "multiclassova": Link.EXPIT,
        }
        if name not in links:
            raise unsupported(estimator, f"an objective of {', '.join(links)}, which have probabilities", name)
        return "classifier", links[name], factor
    if name in ("binary", "cross_entropy"):
        return "regressor", Link.EXPIT, factor
    if name == "cross_entropy_lambda":
        return "regressor", Link.SOFTPLUS, 1.0
    if name in _EXPONENTIAL:
        return "regressor", Link.LOG, 1.0
    if name not in _VALUES:
        raise unsupported(estimator, "an objective with one output per row", name)
    return "regressor", Link.SIGNED_SQUARE if "sqrt" in objective else Link.IDENTITY, 1.0


def _categories(estimator: Any, known: list[Any] | None, model: str, block: Block) -> dict[int, list[Any]]:
    """Column -> its categories in the frame that was fitted. A booster keeps them in order, but not whose they are.

    Those of a text or of an unordered column are told; an ordered one looks like a number, and is found by its codes.
    """
    if not known:
        return {}
    lines = model.splitlines()
    line = next((x for x in lines if x.startswith("[categorical_feature:")), "")
    told = {int(at) for at in line.strip("]").partition(": ")[2].split(",") if at.isdigit()}
    infos = next((x for x in lines if x.startswith("feature_infos=")), "=").partition("=")[2].split()
    codes = [[float(code) for code in info.strip("[]").split(":") if code != "none"] for info in infos]
    texts = {at for at, column in enumerate(block.columns) if isinstance(column, Text)}
    for needed in (texts | told, texts):
        found = list(islice(_places([len(values) for values in known], codes, needed), 2))
        if len(found) == 1:
            return dict(zip(found[0], known, strict=True))
        if found:
            break
    raise unsupported(
        estimator,
        f"{len(known)} columns of categories, as were fitted",
        "several columns that could be them: leave the order of categories out" if found else "others",
    )


def _places(sizes: list[int], codes: list[list[float]], needed: set[int], first: int = 0) -> Iterator[list[int]]:
    """The columns, in order and with all that are needed, whose codes fit so many categories each."""
    if not sizes:
        if not any(at >= first for at in needed):
            yield []
        return
    for at in range(first, len(codes)):
        fits = all(-1 <= code < sizes[0] and code.is_integer() for code in codes[at])
        if fits and (at in needed or codes[at] or sizes[0] < 2):  # a constant column has no codes
            yield from ([at, *rest] for rest in _places(sizes[1:], codes, needed, at + 1))
        if at in needed:
            return


class _Inputs:
    """The slots that nodes ask: the numbers, those with zero as missing, and the codes of categories."""

    def __init__(self, builder: ProgramBuilder, columns: list[Number], sections: list[dict[str, str]]) -> None:
        self._builder, self._columns = builder, columns
        self._slots: dict[tuple[int, int], int] = {}
        self.codes: dict[int, Codes] = {}
        used: dict[int, set[int]] = {}
        for section in sections:
            features = _integers(section, "split_feature")
            for at, categories in _sets(section):
                used.setdefault(int(features[at]), set()).update(categories)
        for feature, every in sorted(used.items()):
            codes = encode(builder, columns[feature], frozenset(every), Op.TRUNCATE)
            self.codes[codes.slot] = codes
            self._slots[feature, _CATEGORICAL] = codes.slot

    def places(self) -> dict[int, int]:
        """The slots that were made of columns -> the place of the column."""
        return {slot: feature for (feature, _), slot in self._slots.items()}

    def _slot(self, feature: int, decision: int) -> int:
        way = decision & (_CATEGORICAL | _MISSING_ZERO)
        slot = self._columns[feature].slot
        if way == _MISSING_ZERO and (feature, way) not in self._slots:
            start = self._builder.constants([ZERO, np.nan])
            self._slots[feature, way] = self._builder.emit(Op.NEAR_ZERO, slot, self._builder.new(), start)
        return self._slots.get((feature, way), slot)

    def tree(self, section: dict[str, str]) -> BoosterTree:
        """A tree of the text format: its splits come first, then its leaves."""
        values = np.array(section["leaf_value"].split(), dtype=np.float64)
        splits, leaves = len(values) - 1, np.arange(len(values))
        if not splits:
            nothing = np.zeros(1, dtype=np.int64)
            return BoosterTree(nothing - 1, nothing - 1, values, nothing, nothing, nothing, cover=np.ones(1))
        left, right, features, decision = (
            _integers(section, name) for name in ("left_child", "right_child", "split_feature", "decision_type")
        )
        numeric = (decision & _CATEGORICAL) == 0
        thresholds = np.array(section["threshold"].split(), dtype=np.float64)
        # What is zero goes where zero goes.
        near = np.abs(thresholds) < ZERO
        thresholds = np.where(near, np.where(thresholds >= 0, ZERO, -ZERO), thresholds)
        thresholds = np.where(thresholds == -ZERO, np.nextafter(-ZERO, -np.inf), thresholds)
        as_missing = (decision & (_MISSING_ZERO | _MISSING_NAN)) != 0
        missing_left = np.where(as_missing, (decision & _DEFAULT_LEFT) != 0, thresholds >= 0) & numeric
        slots = [self._slot(int(f), int(d)) for f, d in zip(features, decision, strict=True)]
        none = np.full(len(leaves), -1)
        return BoosterTree(
            left=np.concatenate([np.where(left < 0, splits + ~left, left), none]),
            right=np.concatenate([np.where(right < 0, splits + ~right, right), none]),
            value=np.concatenate([thresholds, values]),
            slot=np.concatenate([slots, np.zeros(len(leaves), dtype=np.int64)]),
            missing_left=np.concatenate([missing_left, np.zeros(len(leaves), dtype=bool)]),
            leaf_number=np.concatenate([np.zeros(splits, dtype=np.int64), leaves]),
            sets={at: frozenset(categories) for at, categories in _sets(section)},
            cover=np.concatenate([_integers(section, "internal_count"), _integers(section, "leaf_count")]),
        )


def _integers(section: dict[str, str], name: str) -> Array:
    return np.array(section.get(name, "").split(), dtype=np.int64)


def _sets(section: dict[str, str]) -> Iterator[tuple[int, list[int]]]:
    """The splits by category, and the categories that each sends left."""
    if section["num_cat"] == "0":
        return
    bounds = _integers(section, "cat_boundaries")
    words = np.array(section["cat_threshold"].split(), dtype=np.uint32)
    thresholds = section["threshold"].split()
    for at in np.flatnonzero(_integers(section, "decision_type") & _CATEGORICAL).tolist():
        which = int(float(thresholds[at]))
        bits = np.unpackbits(words[bounds[which] : bounds[which + 1]].astype("<u4").view(np.uint8), bitorder="little")
        yield at, np.flatnonzero(bits).tolist()
