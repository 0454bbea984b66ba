"""CatBoost: its JSON, which holds every number exactly, as nodes. Packing does not import it."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from penstock.artifact.packing.boosting.boosters import BoosterTree, Codes, booster_arrays
from penstock.artifact.packing.boosting.catboost_categories import Categories
from penstock.artifact.packing.estimators import of_slots
from penstock.artifact.packing.model import Model
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Link, Op

Array = np.ndarray[Any, Any]
CATBOOST = (*(f"catboost.CatBoost{kind}" for kind in ("Classifier", "Regressor", "Ranker")), "catboost.CatBoost")
_CLASSES = {
    "Logloss": Link.LOGIT,
    "CrossEntropy": Link.LOGIT,
    "Focal": Link.LOGIT,
    "MultiClass": Link.SOFTMAX,
    "MultiClassOneVsAll": Link.EXPIT,
}
_SEVERAL = ("MultiRMSE", "MultiQuantile")
_EXPONENTIAL = ("Poisson", "Tweedie")
"""Losses for which CatBoostRegressor.predict returns the exponential of the raw score."""


def pack_catboost(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The sum of one leaf value per tree, from zero on; then the scale and the bias."""
    told = _json(estimator)
    info = told["features_info"]
    others = [name for name in info if name not in ("float_features", "categorical_features", "ctrs") and info[name]]
    if others:
        raise unsupported(estimator, "features that are numbers or categories", ", ".join(others))
    kind, link = prediction_of(estimator)
    of_targets = {ctr["ctr_type"] for ctr in info.get("ctrs", [])} - {"Counter", "FeatureFreq"}
    if of_targets and of_several(estimator.get_all_params()):
        raise unsupported(estimator, "statistics of one target; one_hot_max_size of all categories has none", "several")
    inputs = _Inputs(builder, estimator, block, told)
    scale, bias = told["scale_and_bias"]
    outputs = len(bias)
    trees = [inputs.symmetric(tree, outputs) for tree in told.get("oblivious_trees", [])]
    trees += [inputs.tree(tree) for tree in told.get("trees", [])]
    demand_values(estimator, kind, outputs)
    if scale == 1 and any(bias):
        trees.append((_leaf(), np.array([bias], dtype=np.float64)))
    model = Model("trees", kind, link, _arrays(estimator, trees, outputs, inputs.codes))
    model.arrays.update(_players(inputs.categories, builder.slots))
    if scale == 1:
        return model
    slots = [builder.with_constant(Op.MULTIPLY, slot, scale) for slot in builder.ask(model, raw=True)]
    slots = [builder.with_constant(Op.ADD, slot, one) for slot, one in zip(slots, bias, strict=True)]
    return of_slots(slots, kind, link=link)


def obstacles(name: str, told: dict[str, Any]) -> Iterator[str]:
    """What the parameters of an unfitted estimator say against packing it, and against its own file."""
    loss = str(told.get("loss_function") or "").partition(":")[0]
    if name == "CatBoostClassifier" and loss and loss not in _CLASSES:
        yield f"{name} has one label with a loss of {', '.join(_CLASSES)}, not with {loss!r}"
    if loss == "RMSEWithUncertainty":
        yield f"{name} answers a mean and a variance with the loss {loss!r}"


def _json(estimator: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            estimator.save_model(str(path), format="json")
        except Exception as error:  # texts, embeddings
            raise unsupported(estimator, "a model that CatBoost writes as JSON", str(error)) from error
        made: dict[str, Any] = json.loads(path.read_text())
    return made


def prediction_of(estimator: Any) -> tuple[Literal["classifier", "regressor"], Link]:
    """What a fitted model answers, and how raw scores become that."""
    own = type(estimator).__name__
    try:
        loss = str(estimator.get_all_params()["loss_function"]).partition(":")[0]
    except Exception as error:
        raise unsupported(estimator, "a model that knows its loss, unlike a sum of models", str(error)) from error
    if own == "CatBoostClassifier" or (own == "CatBoost" and loss in _CLASSES):
        if loss not in _CLASSES:
            raise unsupported(estimator, f"a loss of {', '.join(_CLASSES)}", loss)
        return "classifier", _CLASSES[loss]
    return "regressor", Link.LOG if own == "CatBoostRegressor" and loss in _EXPONENTIAL else Link.IDENTITY


def of_several(told: dict[str, Any]) -> bool:
    """Whether there are several targets. CatBoost's JSON does not say which of them a statistic is of."""
    return str(told.get("loss_function")).startswith("MultiRMSE")


def demand_values(estimator: Any, kind: str, outputs: int) -> None:
    """UnsupportedEstimator for a regressor whose outputs are not all what it predicts, as RMSEWithUncertainty's."""
    loss = str(estimator.get_all_params()["loss_function"])
    if kind == "regressor" and outputs != 1 and not loss.startswith(_SEVERAL):
        raise unsupported(estimator, f"one output, or a loss of {', '.join(_SEVERAL)}", loss)


def outputs_of(estimator: Any) -> int:
    """How many raw scores a row has."""
    return int(np.size(estimator.get_scale_and_bias()[1]))


def _arrays(
    estimator: Any, trees: list[tuple[BoosterTree, Array]], outputs: int, codes: dict[int, Codes]
) -> dict[str, Array]:
    """Nodes of all trees. With several outputs a leaf's value is its row among the leaf values."""
    values = [leaves for _, leaves in trees]
    first = np.cumsum([0, *map(len, values)])
    for (tree, leaves), start in zip(trees, first.tolist(), strict=False):
        rows = np.arange(start, start + len(leaves), dtype=np.uint64).view(np.float64)
        tree.value[tree.left < 0] = leaves[:, 0] if outputs == 1 else rows
    arrays = booster_arrays(estimator, [tree for tree, _ in trees], codes, unknown_left=True)
    arrays["base"] = np.zeros(outputs)
    if outputs > 1:
        arrays["leaf_values"] = np.concatenate(values)
    return arrays


def _players(categories: Categories, slots: int) -> dict[str, Array]:
    """The player of each slot; and of combinations the pairs of a statistic's slot and the slot of a sharer's code.

    All statistics by the same features are one player.
    """
    players, firsts = np.arange(slots, dtype=np.int64), dict[frozenset[int], int]()
    for slot, code in categories.players.items():
        players[slot] = code
    for slot, codes in categories.combined.items():
        players[slot] = min(codes) if len(codes) == 1 else firsts.setdefault(codes, slot)
    pairs = [(slot, code) for slot, codes in categories.combined.items() for code in sorted(codes)]
    return {"players": players} | ({"sharers": np.array(pairs, dtype=np.int64)} if pairs else {})


def _leaf() -> BoosterTree:
    """The tree of one leaf: what is added last."""
    none = np.zeros(1, dtype=np.int64)
    return BoosterTree(none - 1, none - 1, np.zeros(1), none, none != 0, none, cover=np.ones(1))


class _Inputs:
    """The slots that nodes ask: numbers in float32, codes of categories, and statistics of them.

    What is above a border goes right, NaN where it was told to go. Of codes one goes right.
    """

    def __init__(self, builder: ProgramBuilder, estimator: Any, block: Block, told: dict[str, Any]) -> None:
        features = told["features_info"].get("float_features", [])
        asked = [block.columns[feature["flat_feature_index"]] for feature in features]
        columns = builder.numbers(estimator, Block(asked, block.sparse))
        self._numbers: dict[int, tuple[int, bool]] = {}
        for feature, column in zip(features, columns, strict=True):
            right = feature["has_nans"] and feature["nan_value_treatment"] == "AsTrue"
            slot = builder.emit(Op.FLOAT32, column.slot, column.slot)
            self._numbers[feature["feature_index"]] = (slot, right)
        self.categories = Categories(builder, estimator, block, told, self._numbers)
        coded = self.categories.coded.values()
        self.codes = {one.slot: Codes(one.slot, tuple(range(len(one.known)))) for one in coded}

    def symmetric(self, told: dict[str, Any], outputs: int) -> tuple[BoosterTree, Array]:
        """A tree that asks the same of all nodes of a level; bit d of a leaf's number is the answer to split d."""
        splits = (told["splits"] or [])[::-1]
        inner = 2 ** len(splits) - 1
        asked = [split for level, split in enumerate(splits) for _ in range(2**level)]
        left = np.concatenate([2 * np.arange(inner) + 1, np.full(inner + 1, -1)])
        right = np.where(left < 0, -1, left + 1)
        leaves = np.arange(len(left)) - inner
        values = np.array(told["leaf_values"], dtype=np.float64).reshape(-1, outputs)
        weights = np.array(told["leaf_weights"], dtype=np.float64) if told.get("leaf_weights") else None
        made = self._made(left, right, [*asked, *[None] * (inner + 1)], np.maximum(leaves, 0))
        return replace(made, cover=_cover(made, weights)), values

    def tree(self, told: dict[str, Any]) -> tuple[BoosterTree, Array]:
        """Any other tree."""
        nodes = list(_nodes(told))
        left, right = (np.array([node[at] for node in nodes], dtype=np.int64) for at in (1, 2))
        leaves = np.where(left < 0, np.cumsum(left < 0) - 1, 0)
        values = [node["value"] for node, *_ in nodes if "value" in node]
        asked = [node.get("split") for node, *_ in nodes]
        weights = [node.get("weight") for node, *_ in nodes if "value" in node]
        made = self._made(left, right, asked, leaves)
        cover = None if None in weights else _cover(made, np.array(weights, dtype=np.float64))
        made = replace(made, cover=cover, leaf_number=_leaf_numbers(left, right))
        return made, np.array(values, dtype=np.float64).reshape(len(values), -1)

    def _made(self, left: Array, right: Array, asked: list[dict[str, Any] | None], leaf_number: Array) -> BoosterTree:
        slots, missing_left, sets = np.zeros(len(asked), dtype=np.int64), np.ones(len(asked), dtype=bool), {}
        for at, split in enumerate(asked):
            if split is None:
                missing_left[at] = False
            elif split["split_type"] == "FloatFeature":
                slots[at], above = self._numbers[split["float_feature_index"]]
                missing_left[at] = not above
            elif split["split_type"] == "OneHotFeature":
                slots[at], sets[at] = self.categories.one_hot(split)
            else:
                slots[at] = self.categories.statistic(split)
        return BoosterTree(
            left=left,
            right=right,
            value=np.array([0.0 if split is None else np.float32(split.get("border", 0.0)) for split in asked]),
            slot=slots,
            missing_left=missing_left,
            leaf_number=leaf_number,
            sets=sets,
        )


def _leaf_numbers(left: Array, right: Array) -> Array:
    """What the library calls each leaf: from left to right, but a leaf right of a split comes before that split's."""
    made = np.zeros(len(left), dtype=np.int64)
    stack, count = [0], 0
    while stack:
        at = stack.pop()
        if left[at] < 0:
            made[at] = count
            count += 1
        elif left[right[at]] < 0 <= left[left[at]]:
            stack += [left[at], right[at]]
        else:
            stack += [right[at], left[at]]
    return made


def _cover(tree: BoosterTree, weights: Array | None) -> Array | None:
    """The weight of the training rows that reached each node: of an inner one, that of its children."""
    if weights is None:
        return None
    made = np.where(tree.left < 0, weights[tree.leaf_number], 0.0)
    for at in np.flatnonzero(tree.left >= 0)[::-1].tolist():  # children come behind their parents
        made[at] = made[tree.left[at]] + made[tree.right[at]]
    return made


def _nodes(told: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Each node in preorder, with the numbers of its children."""
    stack: list[tuple[dict[str, Any], int]] = [(told, -1)]
    made: list[list[Any]] = []
    while stack:
        node, parent = stack.pop()
        if parent >= 0:
            made[parent][2] = len(made)
        inner = "left" in node
        made.append([node, len(made) + 1 if inner else -1, -1])
        if inner:
            stack += [(node["right"], len(made) - 1), (node["left"], -1)]
    yield from ((node, left, right) for node, left, right in made)
