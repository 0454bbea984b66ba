"""Transformers that multiply the columns by a matrix."""

from typing import Any

import numpy as np

from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, Number, ProgramBuilder, Transform, unsupported
from penstock.artifact.program import Link, Op
from penstock.errors import PenstockError

Array = np.ndarray[Any, Any]
_TIMES = 64
"""A component that deviates by so many times the rounding of one product holds nothing else."""
_LOUD = 1e-3
"""Rounding of numbers that deviate by about 1, above which nothing can be compared."""
_ADDING_UP = "some columns add up to others, as those of a OneHotEncoder without drop='first' do"


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


def _noise(matrix: Any, mean: Any, deviations: Any) -> Array:
    """How large the rounding of each component may be, of columns with these means and standard deviations."""
    dense = np.abs(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    size = np.broadcast_to(deviations, dense.shape[1:]) + (0.0 if mean is None else np.abs(mean))
    return np.asarray(np.finfo(np.float64).eps * (dense @ size))


def _demand_signal(transformer: Any, found: str, todo: str) -> None:
    raise PenstockError(
        type(transformer).__name__, expected="components that hold more than rounding", found=found, todo=todo
    )


def _empty_components(transformer: Any, mean: Any) -> tuple[list[int], str]:
    """The places of components that hold nothing but rounding, where columns add up to others, and what to do."""
    variances = getattr(transformer, "explained_variance_", None)
    if variances is None:
        return [], ""
    spread = np.sqrt(np.sum(variances)) if mean is not None else transformer.singular_values_[0]
    empty = np.sqrt(np.maximum(variances, 0.0)) <= _TIMES * _noise(transformer.components_, mean, spread)
    return np.flatnonzero(empty).tolist(), f"Set n_components={int(np.count_nonzero(~empty))}: {_ADDING_UP}."


def _components(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """PCA, IncrementalPCA, TruncatedSVD and random projections."""
    mean = getattr(transformer, "mean_", None)
    slots = _project(builder, transformer, block, transformer.components_, mean)
    empty, todo = _empty_components(transformer, mean)
    if empty and getattr(transformer, "whiten", False):
        _demand_signal(transformer, f"{len(empty)} of {len(slots)} that do not, enlarged by whiten=True", todo)
    builder.mark_noise(f"{type(transformer).__name__}: {todo}", [slots[at] for at in empty])
    if getattr(transformer, "whiten", False):
        scale = np.maximum(np.sqrt(transformer.explained_variance_), np.finfo(np.float64).eps)
        slots = [builder.with_constant(Op.DIVIDE, slot, one) for slot, one in zip(slots, scale, strict=True)]
    return _block(block, slots, sparse=block.sparse and getattr(transformer, "dense_output", True) is False)


def _independent(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """FastICA."""
    mean = transformer.mean_ if transformer.whiten else None
    if transformer.whiten:
        deviations = np.linalg.norm(transformer.mixing_, axis=1)
        if np.max(_noise(transformer.components_, mean, deviations), initial=0.0) > _LOUD:
            _demand_signal(
                transformer, "some that do not, enlarged as all are", f"Set fewer n_components: {_ADDING_UP}."
            )
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
