"""A large forest: packing, loading, and the memory of four processes that use it together."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from benchmarks.figures import Figure, at_most, medians, seconds
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature

PROCESSES = 4
WIDTH = 8
PACKED = """
import numpy as np
from penstock.artifact.load import load
model = load(sys.argv[1])
rows = np.random.default_rng(int(sys.argv[2])).normal(size=(5_000, 8))
model.predict({f"x{at}": np.ascontiguousarray(rows[:, at]) for at in range(8)})
"""
JOBLIB = """
import joblib, numpy as np
model = joblib.load(sys.argv[1], mmap_mode="r")
model.predict(np.random.default_rng(int(sys.argv[2])).normal(size=(5_000, 8)))
"""
WAIT = "print('ready', flush=True); sys.stdin.readline()"


def forest_figures(folder: Path, *, quick: bool) -> list[Figure]:
    """300 trees grown to the last row; joblib with mmap is measured on a tenth of them, as it copies per process."""
    forest, path = _forest(quick=quick), folder / "forest.artifact"
    features = [Feature(f"x{at}", "number") for at in range(WIDTH)]
    packing = seconds(lambda: pack(forest, path, features=features, metadata={}, fallback=False))
    size = path.stat().st_size / 1e6
    (loading,) = medians(21, lambda: load(path))
    ours, theirs = _thousand_rows(forest, path)
    tenth = folder / "tenth.artifact"
    forest.estimators_ = forest.estimators_[: len(forest.estimators_) // 10]
    forest.n_estimators = len(forest.estimators_)
    pack(forest, tenth, features=features, metadata={}, fallback=False)
    made = [
        Figure("forest: trees", 30 if quick else 300, ""),
        Figure("forest: packed size", size, "MB"),
        at_most("forest: packing", packing, "s", 20),
        at_most("forest: loading", loading * 1e3, "ms", 20),
        at_most(f"forest: PSS of {PROCESSES} processes", _pss(PACKED, path), "MB", round(size + PROCESSES * 45)),
        Figure("forest: 1,000 rows, times faster than scikit-learn", theirs / ours, "x"),
        Figure("  a tenth of it, packed: size", tenth.stat().st_size / 1e6, "MB"),
        Figure(f"  a tenth of it, packed: PSS of {PROCESSES} processes", _pss(PACKED, tenth), "MB"),
    ]
    return made + _joblib_figures(forest, folder)


def _thousand_rows(forest: Any, path: Path) -> list[float]:
    """Seconds of the packed forest and of scikit-learn. The file is unmapped after it: this process must not share
    in the pages whose owners are counted next."""
    rows = np.random.default_rng(1).normal(size=(1_000, WIDTH))
    columns = {f"x{at}": np.ascontiguousarray(rows[:, at]) for at in range(WIDTH)}
    artifact = load(path)
    if not np.array_equal(artifact.predict(columns), forest.predict(rows)):
        raise AssertionError("the packed forest does not predict what scikit-learn does")
    return medians(5, lambda: artifact.predict(columns), lambda: forest.predict(rows))


def _forest(*, quick: bool) -> RandomForestRegressor:
    rng = np.random.default_rng(0)
    rows = 10_000 if quick else 99_000
    matrix = rng.normal(size=(rows, WIDTH))
    forest = RandomForestRegressor(30 if quick else 300, max_features=1, n_jobs=-1, random_state=0)
    forest.fit(matrix, matrix[:, 0] + rng.normal(size=rows)).set_params(n_jobs=1)
    return forest


def _joblib_figures(forest: Any, folder: Path) -> list[Figure]:
    try:
        import joblib
    except ImportError:
        return []
    path = folder / "tenth.joblib"
    joblib.dump(forest, path)
    (loading,) = medians(5, lambda: joblib.load(path, mmap_mode="r"))
    return [
        Figure("  a tenth of it, joblib with mmap: size", path.stat().st_size / 1e6, "MB"),
        Figure("  a tenth of it, joblib with mmap: loading", loading * 1e3, "ms"),
        Figure(f"  a tenth of it, joblib with mmap: PSS of {PROCESSES} processes", _pss(JOBLIB, path), "MB"),
    ]


def _pss(code: str, path: Path) -> float:
    """The proportional set sizes, summed, of processes that have loaded the file and predicted 5,000 rows each."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", f"import sys\n{code}\n{WAIT}", str(path), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    try:
        for process in running:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise AssertionError("a process could not use the model")
        return sum(_pss_of(process.pid) for process in running)
    finally:
        for process in running:
            process.communicate("\n")


def _pss_of(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) / 1024 * 1.048576


def import_figures(repeats: int) -> list[Figure]:
    """What the imports cost, each in fresh processes, in turns."""
    taken: dict[str, list[float]] = {"numpy": [], "penstock.contract.contract": [], "penstock.artifact.load": []}
    for _ in range(repeats):
        for name, times in taken.items():
            code = f"import time; begun = time.perf_counter(); import {name}; print(time.perf_counter() - begun)"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            times.append(float(done.stdout))
    base = median(taken["numpy"])
    return [
        at_most(
            "import penstock.contract.contract: times import numpy",
            median(taken["penstock.contract.contract"]) / base,
            "x",
            1.3,
        ),
        at_most(
            "import penstock.artifact.load: times import numpy",
            median(taken["penstock.artifact.load"]) / base,
            "x",
            1.3,
        ),
        Figure("  import numpy", base * 1e3, "ms"),
    ]
