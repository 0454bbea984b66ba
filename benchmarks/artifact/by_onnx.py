"""ONNX Runtime beside the packed models: run by an interpreter that has skl2onnx and onnxruntime, and nothing of ours.

`PYTHON benchmarks/artifact/by_onnx.py FOLDER` reads the estimators and rows that the benchmark left there, and prints a
JSON list of [name, value, unit].
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

PROCESSES = 4
HOLD = """
import sys, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
rows = np.random.default_rng(int(sys.argv[2])).normal(size=(5_000, 8)).astype(np.float32)
session.run(None, {"rows": rows})
print("ready", flush=True); sys.stdin.readline()
"""


def main(folder: Path) -> list[tuple[str, float, str]]:
    """Convert and measure both estimators; what cannot be converted is said so."""
    import joblib
    import numpy as np
    from skl2onnx.common import _container

    _container.make_node = partial(_node, _container.make_node)
    rows = np.load(folder / "rows.npz")
    made: list[tuple[str, float, str]] = []
    hist, forest = joblib.load(folder / "hist.joblib"), joblib.load(folder / "tenth.joblib", mmap_mode="r")
    try:
        session = _converted(hist, rows["hist"].shape[1], folder / "hist.onnx")
    except Exception as error:
        print(f"hist gradient boosting with categories: {repr(error)[:200]}", file=sys.stderr)
        made.append(("ONNX Runtime: hist gradient boosting cannot be converted", 1.0, ""))
    else:
        asked = rows["hist"].astype(np.float32)
        labels, expected = session.run(None, {"rows": asked})[0], hist.predict(asked.astype(np.float64))
        made.append(
            ("ONNX Runtime: hist gradient boosting, labels that differ", float((labels != expected).mean()) * 100, "%")
        )
        made.append(("ONNX Runtime: hist gradient boosting, one row", _each(session, asked, 1) * 1e6, "us"))
        made.append(("ONNX Runtime: hist gradient boosting, 1,000 rows", _each(session, asked, 1_000) * 1e3, "ms"))
    path = folder / "tenth.onnx"
    _converted(forest, 8, path)
    asked = rows["forest"].astype(np.float32)
    taken = []
    for _ in range(5):
        begun = perf_counter()
        session = _session(path)
        taken.append(perf_counter() - begun)
    apart = np.abs(session.run(None, {"rows": asked})[0].ravel() - forest.predict(asked)).max()
    return [
        *made,
        ("  a tenth of the forest, ONNX Runtime: size", path.stat().st_size / 1e6, "MB"),
        ("  a tenth of the forest, ONNX Runtime: loading", median(taken) * 1e3, "ms"),
        ("  a tenth of the forest, ONNX Runtime: PSS of 4 processes", _pss(path), "MB"),
        ("  a tenth of the forest, ONNX Runtime: 1,000 rows", _each(session, asked, 1_000) * 1e3, "ms"),
        ("  a tenth of the forest, ONNX Runtime: largest difference", float(apart) * 1e6, "e-6"),
    ]


def _converted(estimator: Any, width: int, path: Path) -> Any:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    model = convert_sklearn(estimator, initial_types=[("rows", FloatTensorType([None, width]))], options=options)
    path.write_bytes(model.SerializeToString())
    return _session(path)


def _node(made: Callable[..., Any], *what: Any, **attributes: Any) -> Any:
    """A node as skl2onnx makes it, its whole numbers as such: it gives truth values too, which protobuf now refuses."""
    return made(*what, **{name: _whole(value) for name, value in attributes.items()})


def _whole(value: Any) -> Any:
    if not isinstance(value, list) or not value or isinstance(value[0], str | bytes | float):
        return value
    return [int(one) for one in value]


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path))


def _each(session: Any, rows: Any, count: int) -> float:
    """The median seconds of a call with `count` rows, other rows each time."""
    taken = []
    for first in range(0, len(rows) - count, max(len(rows) // 200, 1)):
        asked = {"rows": rows[first : first + count]}
        begun = perf_counter()
        session.run(None, asked)
        taken.append(perf_counter() - begun)
    return median(taken)


def _pss(path: Path) -> float:
    command = [sys.executable, "-c", HOLD, str(path)]
    running = [
        subprocess.Popen([*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(PROCESSES)
    ]
    try:
        for process in running:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise AssertionError("a process could not use the model")
        found = [Path(f"/proc/{process.pid}/smaps_rollup").read_text() for process in running]
    finally:
        for process in running:
            process.communicate("\n")
    return sum(int(text.split("\nPss:")[1].split()[0]) for text in found) / 1024 * 1.048576


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
