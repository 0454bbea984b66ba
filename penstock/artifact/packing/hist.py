"""Histogram gradient boosting, with missing values, categories, and the encoder that scikit-learn puts before it."""

from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.file import NODE
from penstock.artifact.packing.encoders import ordinal
from penstock.artifact.packing.model import Model
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.program import CATEGORY, LEAF, MISSING_LEFT, Link

Array = np.ndarray[Any, Any]
_LINKS = {
    "IdentityLink": Link.IDENTITY,
    "LogLink": Link.LOG,
    "LogitLink": Link.LOGIT,
    "MultinomialLogit": Link.SOFTMAX,
}


def pack_hist(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The sum of a baseline and one leaf value per iteration and class, in float64 on the columns as they are."""
    columns = _encoded(builder, estimator, block)
    slots = np.array([column.slot for column in columns], dtype=np.uint32)
    predictors = [predictor for stage in compat.PREDICTORS.of(estimator) for predictor in stage]
    roots = np.cumsum([0, *(len(predictor.nodes) for predictor in predictors)], dtype=np.int64)
    nodes = np.empty(roots[-1], dtype=NODE)
    bitsets: list[Array] = []
    for predictor, first, end in zip(predictors, roots[:-1], roots[1:], strict=True):
        _fill(nodes[first:end], estimator, predictor, slots, sum(map(len, bitsets)))
        bitsets.append(predictor.raw_left_cat_bitsets)
    base = np.zeros(estimator.n_trees_per_iteration_) + compat.BASELINE.of(estimator).ravel()
    covers = np.concatenate([predictor.nodes["count"] for predictor in predictors]).astype(np.float64)
    arrays = {"nodes": nodes, "roots": roots, "base": base.astype(np.float64), "covers": covers}
    if any(map(len, bitsets)):
        arrays["bitsets"] = np.ascontiguousarray(np.concatenate([b for b in bitsets if len(b)]), dtype=np.uint32)
    name = type(compat.HIST_LINK.of(estimator)).__name__
    link = _LINKS.get(name)
    if link is None:
        raise unsupported(estimator, f"a link of {', '.join(_LINKS)}", name)
    return Model("trees", "classifier" if hasattr(estimator, "classes_") else "regressor", link, arrays)


def _encoded(builder: ProgramBuilder, estimator: Any, block: Block) -> list[Number]:
    """The columns as the predictors number them: the encoded categories first, then the numbers."""
    preprocessor = compat.PREPROCESSOR.of(estimator)
    if preprocessor is None:
        return builder.numbers(estimator, block)
    categorical = np.flatnonzero(estimator.is_categorical_)
    rest = np.flatnonzero(~estimator.is_categorical_)
    encoder = preprocessor.named_transformers_["encoder"]
    codes: list[Column] = []
    if len(categorical):
        codes = ordinal(builder, encoder, Block([block.columns[at] for at in categorical], sparse=False)).columns
        _check_known(estimator, encoder)
    return builder.numbers(estimator, Block([*codes, *(block.columns[at] for at in rest)], sparse=False))


def _check_known(estimator: Any, encoder: Any) -> None:
    """Every code must be known to the bins: then unknown and missing are both NaN, and a code is left or right."""
    known, places = compat.KNOWN_CATEGORIES.of(estimator)()
    for at, categories in enumerate(encoder.categories_):
        codes = np.arange(len(categories) - (at in compat.MISSING_PLACES.of(encoder)))
        if not np.all(known[places[at], codes >> 5] >> (codes & 31).astype(np.uint32) & 1):
            raise unsupported(estimator, "bins that know every category of the encoder")


def _fill(part: Array, estimator: Any, predictor: Any, slots: Array, first_bitset: int) -> None:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"] != 0
    category = (nodes["is_categorical"] != 0) & ~leaf
    if not np.all(leaf | (nodes["left"] == np.arange(1, len(nodes) + 1))):
        raise unsupported(estimator, "predictors in preorder")
    part["value"] = np.where(leaf, nodes["value"], nodes["num_threshold"])
    rows = nodes["bitset_idx"][category].astype(np.uint64) + np.uint64(first_bitset)
    part["value"][category] = rows.view(np.float64)
    part["link"] = np.where(leaf, np.arange(len(nodes)), nodes["right"])
    flags = (nodes["missing_go_to_left"] != 0) * np.uint32(MISSING_LEFT) | category * np.uint32(CATEGORY)
    part["feature"] = np.where(leaf, np.uint32(LEAF), slots[np.where(leaf, 0, nodes["feature_idx"])] | flags)
