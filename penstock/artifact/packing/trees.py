"""Trees, forests and gradient boosting of trees, as nodes in preorder."""

from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.file import NODE
from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.preorder import in_preorder, preordered
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import FEATURE, LEAF, MISSING_LEFT, Link, Op

Array = np.ndarray[Any, Any]
TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")


def pack_forest(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """A tree or the mean of trees: one leaf value is in the node, several values or probabilities are in rows."""
    members = list(estimator.estimators_) if sklearn_name(estimator) in FORESTS else [estimator]
    trees = [member.tree_ for member in members]
    classifier = hasattr(estimator, "classes_")
    several = int(estimator.n_outputs_)
    if classifier and several != 1:
        raise unsupported(estimator, "one output", f"{several}")
    allow_nan = not block.sparse and bool(compat.ALLOWS_NAN.of(members[0])(np.zeros((1, 1))))
    slots = _as_float32(builder, estimator, block, allow_nan=allow_nan)
    outputs = int(estimator.n_classes_) if classifier else several
    nodes, roots, covers = _nodes(trees, slots)
    # Zero plus a leaf of -0.0 is 0.0, so a single tree starts from -0.0 where a forest's sum starts from zero.
    base = np.full(outputs, -0.0 if len(trees) == 1 and sklearn_name(estimator) in TREES else 0.0)
    arrays = {"nodes": nodes, "roots": roots, "base": base, "covers": covers}
    if outputs > 1 or classifier:
        leaves = [tree.value[tree.children_left < 0] for tree in trees]
        rows = np.concatenate([leaf[:, 0, :outputs] if classifier else leaf[:, :, 0] for leaf in leaves])
        arrays["leaf_values"] = np.ascontiguousarray(rows, dtype=np.float64)
        _in_order(nodes, roots, trees)
    else:
        for tree, first, end in zip(trees, roots[:-1], roots[1:], strict=True):
            _set_leaves(nodes[first:end], tree.value[:, 0, 0])
    divisor = 1.0 if sklearn_name(estimator) in TREES else float(len(trees))
    return Model("trees", "classifier" if classifier else "regressor", Link.IDENTITY, arrays, divisor)


def pack_boosted(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """GradientBoosting: a constant start, then learning rate times leaf value per stage and class."""
    start = estimator.init_
    name = sklearn_name(start)
    constant = name == "DummyRegressor" or (name == "DummyClassifier" and start.strategy in ("prior", "most_frequent"))
    if not constant and not (isinstance(start, str) and start == "zero"):
        raise unsupported(estimator, "a constant start (init=None or 'zero')", repr(start))
    base = compat.START.of(estimator)(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0]
    slots = _as_float32(builder, estimator, block, allow_nan=False)
    trees = [member.tree_ for member in estimator.estimators_.ravel()]
    nodes, roots, covers = _nodes(trees, slots)
    for tree, first, end in zip(trees, roots[:-1], roots[1:], strict=True):
        _set_leaves(nodes[first:end], estimator.learning_rate * tree.value[:, 0, 0])
    arrays = {"nodes": nodes, "roots": roots, "base": np.array(base, dtype=np.float64), "covers": covers}
    if not hasattr(estimator, "classes_"):
        return Model("trees", "regressor", Link.IDENTITY, arrays)
    link = Link.SOFTMAX if len(base) > 1 else Link.HALF_LOGIT if estimator.loss == "exponential" else Link.LOGIT
    return Model("trees", "classifier", link, arrays)


def _as_float32(builder: ProgramBuilder, estimator: Any, block: Block, *, allow_nan: bool) -> Array:
    """The slots of the inputs, rounded to float32 as scikit-learn's trees hold them, and checked as it does."""
    columns = builder.numbers(estimator, block)
    for column in columns:
        builder.emit(Op.FLOAT32, column.slot, column.slot)
    builder.finite(columns, allow_nan=allow_nan)
    return np.array([column.slot for column in columns], dtype=np.uint32)


def _nodes(trees: list[Any], slots: Array) -> tuple[Array, Array, Array]:
    """All nodes in preorder, without leaf values, where each tree begins, and the weight of rows that reached each."""
    roots = np.cumsum([0, *(tree.node_count for tree in trees)], dtype=np.int64)
    nodes = np.empty(roots[-1], dtype=NODE)
    covers = np.empty(roots[-1])
    if len(slots) and slots.max() > FEATURE:
        raise unsupported(trees[0], f"at most {FEATURE} columns", str(len(slots)))
    for tree, first, end in zip(trees, roots[:-1], roots[1:], strict=True):
        part = nodes[first:end]
        left, right = tree.children_left, tree.children_right
        leaf = left < 0
        part["value"] = tree.threshold
        part["link"] = np.where(leaf, np.arange(len(left)), right)
        inner = slots[np.where(leaf, 0, tree.feature)] | (tree.missing_go_to_left != 0) * np.uint32(MISSING_LEFT)
        part["feature"] = np.where(leaf, np.uint32(LEAF), inner)
        covers[first:end] = tree.weighted_n_node_samples
        if not np.all(leaf | (left == np.arange(1, len(left) + 1))):
            covers[first:end] = in_preorder(covers[first:end], left, right)
            part[:] = preordered(part, left, right)
    return nodes, roots, covers


def _set_leaves(nodes: Array, values: Array) -> None:
    leaf = (nodes["feature"] & LEAF) != 0
    nodes["value"][leaf] = values[nodes["link"][leaf]]


def _in_order(nodes: Array, roots: Array, trees: list[Any]) -> None:
    """Point each leaf at its row: rows are in scikit-learn's order of leaves, tree after tree."""
    before = 0
    for tree, first, end in zip(trees, roots[:-1], roots[1:], strict=True):
        row = np.cumsum(tree.children_left < 0) - 1 + before
        part = nodes[first:end]
        leaf = (part["feature"] & LEAF) != 0
        part["value"][leaf] = row[part["link"][leaf]].astype(np.uint64).view(np.float64)
        before = int(row[-1]) + 1
