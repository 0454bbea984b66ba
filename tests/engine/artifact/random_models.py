"""Random data and the comparison that all exactness tests share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.artifact.load import load
from penstock.artifact.native import Artifact, compiled
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature

ENGINES = ("c", "numpy") if compiled() else ("numpy",)


def numbers(rng: np.random.Generator, rows: int, count: int, *, missing: float = 0.0) -> np.ndarray:
    """Columns of different character: normal, constant, few values, integers, huge, tiny."""
    makers: list[Callable[[], np.ndarray]] = [
        lambda: rng.normal(size=rows),
        lambda: np.full(rows, rng.normal()),
        lambda: rng.choice(rng.normal(size=3), size=rows),
        lambda: rng.integers(-5, 5, size=rows).astype(float),
        lambda: rng.normal(size=rows) * 1e6,
        lambda: rng.normal(size=rows) * 1e-6,
    ]
    made = np.column_stack([makers[rng.integers(len(makers))]() for _ in range(count)])
    made[:, 0] = rng.normal(size=rows)
    made[rng.random(made.shape) < missing] = np.nan
    return made


def near(rng: np.random.Generator, matrix: np.ndarray, thresholds: np.ndarray, rows: int) -> np.ndarray:
    """Rows of the matrix in which many values are a threshold, or one ulp (of float64 or float32) beside it."""
    made = matrix[rng.integers(len(matrix), size=rows)].copy()
    if len(thresholds):
        picked = rng.choice(thresholds, size=made.shape)
        steps = [picked, np.nextafter(picked, np.inf), np.nextafter(picked, -np.inf)]
        single = picked.astype(np.float32)
        steps += [np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))]
        chosen = np.choose(rng.integers(len(steps), size=made.shape), steps)
        made = np.where(rng.random(made.shape) < 0.6, chosen, made)
    return made


def frame_features(frame: pd.DataFrame) -> list[Feature]:
    """The features of a frame: text where a column is not numeric."""
    numeric = {name: pd.api.types.is_numeric_dtype(_values(frame[name])) for name in frame}
    return [Feature(str(name), "number" if numeric[name] else "text") for name in frame]


def frame_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of a frame as a service gives them: float64, or objects with None where missing."""
    made = {}
    for feature in frame_features(frame):
        values = frame[feature.name]
        if feature.kind == "number":
            made[feature.name] = values.astype(float).to_numpy()
        else:
            made[feature.name] = values.astype(object).where(values.notna(), None).to_numpy(dtype=object)
    return made


def matrix_features(matrix: np.ndarray) -> list[Feature]:
    """Number features x0, x1, … of a matrix."""
    return [Feature(f"x{at}", "number") for at in range(matrix.shape[1])]


def matrix_columns(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a matrix."""
    return {f"x{at}": np.ascontiguousarray(matrix[:, at]) for at in range(matrix.shape[1])}


def packed(
    estimator: Any,
    folder: Path,
    features: list[Feature],
    background: dict[str, np.ndarray] | None = None,
    categories: dict[str, list[str]] | None = None,
) -> list[Artifact]:
    """The natively packed estimator, loaded into each kernel that is there."""
    path = folder / "model.artifact"
    told = {"background": background, "categories": categories}
    pack(estimator, path, features=features, metadata={"made": "in a test"}, fallback=False, **told)
    return [load(path, engine=engine) for engine in ENGINES]


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Equal bits, the sign of zero and NaN included."""
    found, expected = np.ascontiguousarray(found), np.ascontiguousarray(expected, dtype=found.dtype)
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()


def ulps(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance in units of the last place of the expected value."""
    if found.shape != expected.shape:
        return np.inf
    if not found.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.where(found == expected, 0.0, np.abs(found - expected) / np.spacing(np.abs(expected)))
    return float(np.max(apart))


def _values(values: pd.Series) -> Any:
    return values.cat.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
