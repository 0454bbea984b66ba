"""Transformers that multiply the columns by a matrix."""

from typing import Any

import numpy as np

from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, Number, ProgramBuilder, Transform, unsupported
from penstock.artifact.program import Link, Op

Array = np.ndarray[Any, Any]


def _project(builder: ProgramBuilder, transformer: Any, block: Block, matrix: Any, mean: Any) -> list[int]:
    """The slots of (columns - mean) @ matrix.T, where there is a mean.

    The last bits of scikit-learn's own are its BLAS's: other ones on another processor, or of another number of rows.
    """
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=False)
    matrix = np.ascontiguousarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    if matrix.dtype != np.float64:
        raise unsupported(transformer, "components in float64", str(matrix.dtype))
    slots = [column.slot for column in columns]
    base = np.zeros(len(matrix))
    if mean is not None and sklearn_name(transformer) == "PCA":
        base = -(mean @ matrix.T)
    elif mean is not None:
        slots = [builder.with_constant(Op.SUBTRACT, slot, one) for slot, one in zip(slots, mean, strict=True)]
    arrays = {"coefficients": matrix, "base": base, "inputs": np.array(slots, dtype=np.int64)}
    made = builder.ask(Model("linear", "classifier", Link.IDENTITY, arrays), raw=True)
    builder.mark_rounded(transformer, made)
    return made


def _block(block: Block, slots: list[int], *, sparse: bool = False) -> Block:
    first = block.columns[0].origin if block.columns else 0
    return Block([Number(slot, first) for slot in slots], sparse)


def _components(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """PCA, IncrementalPCA, TruncatedSVD and random projections."""
    mean = getattr(transformer, "mean_", None)
    slots = _project(builder, transformer, block, transformer.components_, mean)
    if getattr(transformer, "whiten", False):
        scale = np.maximum(np.sqrt(transformer.explained_variance_), np.finfo(np.float64).eps)
        slots = [builder.with_constant(Op.DIVIDE, slot, one) for slot, one in zip(slots, scale, strict=True)]
    return _block(block, slots, sparse=block.sparse and getattr(transformer, "dense_output", True) is False)


def _independent(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """FastICA."""
    mean = transformer.mean_ if transformer.whiten else None
    return _block(block, _project(builder, transformer, block, transformer.components_, mean))


def _factors(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """FactorAnalysis: the expected mean of the latent variables."""
    weighted = transformer.components_ / transformer.noise_variance_
    covariance = np.linalg.inv(np.eye(len(transformer.components_)) + weighted @ transformer.components_.T)
    return _block(block, _project(builder, transformer, block, covariance.T @ weighted, transformer.mean_))


def _discriminants(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """LinearDiscriminantAnalysis as a transformer."""
    centred = transformer.solver == "svd"
    scalings = transformer.scalings_[:, : len(transformer.explained_variance_ratio_)]
    return _block(block, _project(builder, transformer, block, scalings.T, transformer.xbar_ if centred else None))


PROJECTIONS: dict[str, Transform] = {
    "PCA": _components,
    "IncrementalPCA": _components,
    "TruncatedSVD": _components,
    "GaussianRandomProjection": _components,
    "SparseRandomProjection": _components,
    "FastICA": _independent,
    "FactorAnalysis": _factors,
    "LinearDiscriminantAnalysis": _discriminants,
}
