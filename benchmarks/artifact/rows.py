"""Rows per second: a hist gradient boosting with categories, packed, against scikit-learn with numpy input."""

from pathlib import Path
from time import thread_time
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from benchmarks.figures import Figure, at_least, at_most, medians
from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature

NUMBERS, CATEGORIES = 15, 5
FEATURES = [Feature(f"x{at}", "number") for at in range(NUMBERS)] + [
    Feature(f"c{at}", "text") for at in range(CATEGORIES)
]
Array = np.ndarray[Any, Any]


def row_figures(folder: Path, *, quick: bool) -> list[Figure]:
    """One row and a thousand rows, every row another one."""
    rng = np.random.default_rng(7)
    rows = 5_000 if quick else 50_000
    numbers, codes = _data(rng, rows)
    score = numbers[:, 0] + np.sin(3 * numbers[:, 1]) + codes[:, 0] % 2 + 0.5 * (codes[:, 1] % 3)
    late = score + rng.normal(size=rows) > 1.5
    options: dict[str, Any] = {"max_iter": 200, "early_stopping": False, "random_state": 0}
    words = np.column_stack([numbers.astype(object), _words(codes)])
    places = list(range(NUMBERS, NUMBERS + CATEGORIES))
    packed_model = HistGradientBoostingClassifier(categorical_features=places, **options).fit(words, late)
    # What scikit-learn is fastest with: one float64 matrix whose categories are codes already.
    matrix = np.column_stack([numbers, codes]).astype(np.float64)
    model = HistGradientBoostingClassifier(categorical_features=places, **options).fit(matrix, late)
    path = folder / "hist.artifact"
    pack(packed_model, path, features=FEATURES, metadata={}, fallback=False)
    if not np.array_equal(load(path).predict(_columns(numbers, codes)), packed_model.predict_proba(words)):
        raise AssertionError("the packed model does not predict what scikit-learn does")
    asked = _data(rng, 4_000)
    joblib.dump(model, folder / "hist.joblib")
    np.savez(folder / "rows.npz", hist=np.column_stack(asked), forest=np.random.default_rng(1).normal(size=(4_000, 8)))
    return _measured(load(path), load(path, engine="numpy"), model, *asked, quick=quick)


def _measured(
    artifact: Artifact, fallback: Artifact, model: Any, numbers: Array, codes: Array, *, quick: bool
) -> list[Figure]:
    matrix = np.column_stack([numbers, codes]).astype(np.float64)
    columns = _columns(numbers, codes)
    alone = [{name: values[at : at + 1] for name, values in columns.items()} for at in range(2_000)]
    packed_rows, sklearn_rows = iter(alone * 100), iter(range(4_000))

    def hundred() -> None:
        for _ in range(100):
            artifact.predict(next(packed_rows))

    def one() -> None:
        at = next(sklearn_rows)
        model.predict_proba(matrix[at : at + 1])

    repeats = 10 if quick else 60
    ours, theirs = medians(repeats, hundred, one)
    thousand = {name: values[:1_000] for name, values in columns.items()}
    many, numpy_many, sklearn_many = medians(
        repeats // 2,
        lambda: artifact.predict(thousand),
        lambda: fallback.predict(thousand),
        lambda: model.predict_proba(matrix[:1_000]),
    )
    with threadpool_limits(1):
        (sklearn_alone,) = medians(repeats // 2, lambda: model.predict_proba(matrix[:1_000]))
    begun = thread_time()
    hundred()
    return [
        at_most("one row, 200 iterations with categories", ours / 100 * 1e6, "us", 40),
        at_least("one row: times faster than scikit-learn with numpy input", theirs / (ours / 100), "x", 80),
        Figure("  one row: CPU time alone, for a busy machine", (thread_time() - begun) / 100 * 1e6, "us"),
        Figure("  one row by scikit-learn", theirs * 1e6, "us"),
        at_least("1,000 rows: times faster than scikit-learn (all its threads)", sklearn_many / many, "x", 1),
        Figure("  1,000 rows by the C kernel (one thread)", many * 1e3, "ms"),
        Figure("  1,000 rows by the numpy fallback", numpy_many * 1e3, "ms"),
        Figure("  1,000 rows by scikit-learn, all its threads", sklearn_many * 1e3, "ms"),
        Figure("  1,000 rows by scikit-learn, one thread", sklearn_alone * 1e3, "ms"),
    ]


def _columns(numbers: Array, codes: Array) -> dict[str, Array]:
    words = _words(codes)
    columns = {f"x{at}": np.ascontiguousarray(numbers[:, at]) for at in range(NUMBERS)}
    return columns | {f"c{at}": np.ascontiguousarray(words[:, at]) for at in range(CATEGORIES)}


def _data(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    numbers = rng.normal(size=(rows, NUMBERS))
    numbers[rng.random(numbers.shape) < 0.05] = np.nan
    numbers[:, :2] = rng.normal(size=(rows, 2))
    return numbers, np.column_stack([rng.integers(5 + 20 * at, size=rows) for at in range(CATEGORIES)])


def _words(codes: Array) -> Array:
    return np.array([f"word {code}" for code in range(int(codes.max()) + 1)], dtype=object)[codes]
