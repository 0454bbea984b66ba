"""Months that go on from the release before, beside months trained anew: metric and time on the shipped example.

Both sides train on the same snapshots, are judged on the same held-out months, and go through gate and ledger of a
book of their own. Run as `python -m benchmarks.train.continuing [--months 6] [--json FILE]`.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from assets.flight_delay import MODEL
from penstock.declare.discovery import declared
from penstock.declare.model import GateRule, Model
from penstock.declare.periods import Period
from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.processes import let_waiting_threads_sleep
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import current
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.training.candidate import make_candidate
from penstock.training.continuing import start_of
from penstock.training.gate import GateError
from penstock.training.run import TrainingRun
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from resources.example import seed, shift_days

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LAST = "2026-10"
TEXT = ["carrier", "origin", "dest"]


class Month(msgspec.Struct, frozen=True):
    """One candidate: rows it was trained on, CPU seconds of the fit and of all its steps, and how it did."""

    month: str
    rows: int
    fit_seconds: float
    seconds: float
    roc_auc: float
    passed: bool


def line() -> Any:
    """A logistic regression by stochastic gradient descent over scaled numbers and one-hot texts."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [feature.name for feature in MODEL.contract.features if feature.kind == "number"]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), TEXT),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    )
    last = SGDClassifier(loss="log_loss", alpha=1e-3, average=True, max_iter=20, tol=None, random_state=0)
    return make_pipeline(columns, last)


def measured(settings: Settings, book: Book, model: Model, month: str, training: Snapshot, holdout: Snapshot) -> Month:
    """Train one month and offer it to the gate."""
    store = ArtifactStore(settings.artifacts)
    at: dict[str, float] = {}

    def reached(step: str) -> None:
        at[step.split(maxsplit=1)[0]] = time.process_time()

    began = time.process_time()
    run, start = TrainingRun(settings, model, month), None
    if model.continues:
        start = start_of(
            model,
            month,
            current(book, model.contract.model),
            store=store,
            snapshots=SnapshotStore(settings.snapshots),
            cache=settings.artifact_cache,
        )
    made = make_candidate(
        model,
        month,
        training,
        run.held_out(holdout.id),
        store,
        code_version="benchmark",
        start=start,
        step=reached,
    )
    whole = time.process_time() - began
    try:
        run.release_to_test(made.proposal, book, who="benchmark", why="benchmark")
        passed = True
    except GateError as refused:
        passed = False
        print(refused)
    rows, area = made.training_rows, made.proposal.metrics["roc_auc"]
    found = Month(month, rows, at["scoring"] - at["fitting"], whole, area, passed)
    print(f"{model.continues or 'anew':12} {found}", flush=True)
    return found


def main() -> None:
    """Print both sides, month by month."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=6, help="how many months follow the first one")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    let_waiting_threads_sleep()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, now_override=NOW)
        found = declared()
        warehouse = DuckDBWarehouse(str(settings.warehouse_file), now=NOW)
        seed(warehouse, shift_days(NOW))
        for preparation in found.preparations.values():
            warehouse.prepare(preparation.script)
        names = [LAST]
        while len(names) <= options.months:
            names.insert(0, str(Period.parse(names[0]).moved(-1)))
        model = replace(MODEL, estimator=line, gate=GateRule(floor=0.6, margin=0.01), window=3)
        tables = found.tables_for(model)
        months = [(month, *TrainingRun(settings, model, month, tables).extract_both()) for month in names]
        server = PostgresServer(home / "pg", home / "log", DEFAULTS)
        server.start()
        try:
            books = {side: _book(server, side) for side in ("anew", "partial_fit")}
            sides: dict[str, list[Month]] = {side: [] for side in books}
            for month, training, holdout in months:
                for side, book in books.items():
                    one = replace(model, continues="" if side == "anew" else "partial_fit")
                    sides[side].append(measured(settings, book, one, month, training, holdout))
        finally:
            server.stop()
    report(sides)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(sides), indent=2))


def report(sides: dict[str, list[Month]]) -> None:
    """The table of both sides, as Markdown."""
    print(
        "| held-out month | ROC AUC anew | going on | rows anew | going on | fit s anew | going on | all s | going on |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for anew, on in zip(sides["anew"], sides["partial_fit"], strict=True):
        refused = ["" if side.passed else " (refused)" for side in (anew, on)]
        print(
            f"| {anew.month} | {anew.roc_auc:.4f}{refused[0]} | {on.roc_auc:.4f}{refused[1]}"
            f" | {anew.rows:,} | {on.rows:,} | {anew.fit_seconds:.2f} | {on.fit_seconds:.2f}"
            f" | {anew.seconds:.1f} | {on.seconds:.1f} |"
        )


def _book(server: PostgresServer, name: str) -> Book:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    book = Book("test", server.url(name))
    book.migrate()
    return book


if __name__ == "__main__":
    main()
