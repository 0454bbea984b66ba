"""The example's month through five estimators, as a table of Markdown: `python -m benchmarks.estimators`.

Every candidate is made as `penstock train` makes it, of the same rows. A replica's memory is that of a process of its
own that has loaded the artifact and answered a row, above one that has only imported what loads it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

from assets.flight_delay import MODEL
from benchmarks import ROOT
from penstock.artifact.load import load
from penstock.declare.discovery import declared
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.training.candidate import make_candidate
from penstock.training.frame import read_rows
from penstock.training.held_out import HeldOut
from penstock.training.run import TrainingRun
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from resources.example import seed, shift_days

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTH = "2026-10"
ASKED = 2_000
TEXTS, NUMBERS = make_column_selector(dtype_include="category"), make_column_selector(dtype_exclude="category")
RESIDENT = """
import pathlib, sys
from penstock.artifact.load import load
import numpy as np
def resident():
    return int(pathlib.Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
before = resident()
artifact = load(sys.argv[1])
empty = {"number": np.full(1, np.nan), "text": np.array([None], dtype=object)}
artifact.refusals({feature.name: empty[feature.kind] for feature in artifact.features})
zeros = {"number": np.zeros(1), "text": empty["text"]}
artifact.predict({feature.name: zeros[feature.kind] for feature in artifact.features})
print(resident() - before)
"""


def codes(last: Any) -> Any:
    """Texts as numbers, before an estimator of numbers."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    return make_pipeline(make_column_transformer((encoder, TEXTS), remainder="passthrough"), last)


def logistic() -> Any:
    """Texts one-hot, numbers filled and scaled, before a logistic regression."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), TEXTS), (numbers, NUMBERS))
    return make_pipeline(steps, LogisticRegression(max_iter=300))


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "HistGradientBoostingClassifier, as the example has it": MODEL.estimator,
    "LGBMClassifier": lambda: LGBMClassifier(n_estimators=200, num_leaves=15, learning_rate=0.05, verbose=-1),
    "XGBClassifier": lambda: XGBClassifier(
        n_estimators=200, max_depth=4, learning_rate=0.05, enable_categorical=True, tree_method="hist"
    ),
    "CatBoostClassifier behind an OrdinalEncoder": lambda: codes(
        CatBoostClassifier(iterations=200, depth=5, learning_rate=0.05, verbose=0, allow_writing_files=False)
    ),
    "LogisticRegression behind a OneHotEncoder": logistic,
}


@click.command()
def main() -> None:
    """Train each, and print the table."""
    with tempfile.TemporaryDirectory(prefix="penstock-estimators-") as name:
        settings = Settings(home=Path(name), now_override=NOW)
        warehouse = DuckDBWarehouse(str(settings.warehouse_file), now=NOW)
        seed(warehouse, shift_days(NOW))
        for preparation in declared().preparations.values():
            warehouse.prepare(preparation.script)
        click.echo(
            "| estimator | ROC AUC (95%) | artifact | one row | 1,000 rows | memory |\n|---|---|---|---|---|---|"
        )
        training, holdout = TrainingRun(settings, MODEL, MONTH, declared().tables_for(MODEL)).extract_both()
        asked = {name: values[:ASKED] for name, values in read_rows(MODEL, holdout).vectors.items()}
        store = ArtifactStore(settings.artifacts)
        for title, estimator in ESTIMATORS.items():
            model = replace(MODEL, estimator=estimator, explain=False)
            held_out = HeldOut(model, holdout, store, settings.home / "cache")
            made = make_candidate(model, MONTH, training, held_out, store, code_version="")
            path = store.fetch(made.proposal.artifact, settings.home / "cache")
            area = next(metric for metric in made.card.metrics if metric.name == "roc_auc")
            click.echo(
                f"| {title} | {area.value:.4f} ({area.low:.4f} to {area.high:.4f}) | {_size(path)} |"
                f" {' | '.join(_speed(path, asked))} | {_resident(path) / 1000:.1f} MB |"
            )


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1000:,.0f} kB"


def _speed(path: Path, asked: dict[str, Any]) -> tuple[str, str]:
    one, many = _us_per_row(path, asked)
    return f"{one:.1f} us", f"{many:.2f} us a row"


def _us_per_row(path: Path, asked: dict[str, Any]) -> tuple[float, float]:
    """What one row costs alone, and among a thousand."""
    artifact, costs = load(path), []
    rows = [{name: values[row : row + 1] for name, values in asked.items()} for row in range(ASKED)]
    for row in rows:
        begun = perf_counter()
        artifact.predict(row)
        costs.append(perf_counter() - begun)
    thousand = {name: values[:1000] for name, values in asked.items()}
    many = []
    for _ in range(7):
        begun = perf_counter()
        artifact.predict(thousand)
        many.append(perf_counter() - begun)
    return median(costs) * 1e6, median(many) * 1e3


def _resident(path: Path) -> float:
    """kB that a process grows by when it loads the artifact and answers."""
    answer = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return float(answer.stdout)


if __name__ == "__main__":
    main()
