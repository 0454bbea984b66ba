"""The two sides of `benchmarks.train`: the monthly run as `penstock train` does it, and a plain script."""

import subprocess
import sys
from statistics import median
from time import perf_counter

import duckdb
import numpy as np
import pandas as pd
import psycopg
from psycopg import sql
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from benchmarks import ROOT
from penstock.declare.discovery import declared
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.extract.training_join import training_query
from penstock.postgres.book import Book, Books
from penstock.postgres.server import PostgresServer
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import Proposal, Verdict, release
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.candidate import make_candidate
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew

MEMORY = """
import sys
from dataclasses import replace
from pathlib import Path
from assets.flight_delay import MODEL
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots.store import SnapshotStore
from penstock.training.candidate import make_candidate
from penstock.training.held_out import HeldOut
snapshots, url, training, holdout, month, most = sys.argv[1:]
store, artifacts = SnapshotStore(snapshots), ArtifactStore(url)
model = replace(MODEL, most_training_rows=int(most) or None)
held_out = HeldOut(model, store.open(holdout), artifacts, Path(url) / "cache")
make_candidate(model, month, store.open(training), held_out, artifacts, code_version="")
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


class Monthly:
    """The monthly run, each time with new books in which another release is current, so that the gate has to judge."""

    def __init__(self, settings: Settings, server: PostgresServer, model: Model, month: str) -> None:
        self.settings, self.server, self.model, self.month = settings, server, model, month
        self.taken: dict[str, list[float]] = {}
        self.area = 0.0
        self._books: Books | None = None
        self._made = 0
        self._before = self._earlier()
        self.new_books()

    def run(self) -> None:
        """From the warehouse to both books."""
        if self._books is None:
            raise AssertionError("no books")
        test, prod = self._books
        at = perf_counter()
        run = self._run_of(self.model)
        self.training, self.holdout = run.extract_both()
        at = self._took("extract and check of both windows", at)
        steps: list[tuple[str, float]] = []
        made = run.train(
            self.training,
            self.holdout,
            Skew(0, {}, {}),
            test,
            lambda text: steps.append((text.split(maxsplit=1)[0].rstrip(","), perf_counter())),
        )
        for (name, began), (_, ended) in zip(steps, [*steps[1:], ("", perf_counter())], strict=True):
            self.taken.setdefault(name, []).append(ended - began)
        at = perf_counter()
        proposal, said = made.proposal, "benchmark"
        run.release_to_test(proposal, test, who=said, why=said)
        run.release_to_prod(proposal, test, prod, who=said, why=said)
        self._took("gate and release in both books", at)
        self.area = made.proposal.metrics["roc_auc"]

    def new_books(self) -> None:
        """Books in which the earlier artifact is current."""
        self._made += 1
        self._books = Books(self._book("test"), self._book("prod"))

    def medians(self) -> dict[str, float]:
        """The median seconds of each step."""
        return {step: median(times) for step, times in self.taken.items()}

    def _book(self, name: str) -> Book:
        database = f"{name}_{self._made}"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        book = Book("test" if name == "test" else "prod", self.server.url(database))
        book.migrate()
        release(book, self._before, lambda _: Verdict("release", {}), who="benchmark", why="before")
        return book

    def _earlier(self) -> Proposal:
        """A weaker candidate of the same month."""
        from dataclasses import replace

        model = replace(self.model, estimator=lambda: self.model.estimator().set_params(max_iter=100))
        run = self._run_of(model)
        training, holdout = run.extract_both()
        held_out, store = run.held_out(holdout.id), ArtifactStore(self.settings.artifacts)
        return make_candidate(model, self.month, training, held_out, store, code_version="benchmark").proposal

    def _run_of(self, model: Model) -> TrainingRun:
        return TrainingRun(self.settings, model, self.month, declared().tables_for(model))

    def _took(self, step: str, since: float) -> float:
        now = perf_counter()
        self.taken.setdefault(step, []).append(now - since)
        return now


def plain(settings: Settings, model: Model, month: str) -> float:
    """What a script does without any of it: query, features, fit, three metrics; its area under the ROC curve."""
    window = Period.parse(month).windows(model.window)
    queries = {table.name: table.query for table in declared().tables_for(model)}
    query = (
        training_query(model.contract, model.query, queries, "duckdb")
        .replace(":from", "$from")
        .replace(":until", "$until")
    )
    order = ", ".join(f'"{name}"' for name in model.contract.entity)
    frames = []
    with duckdb.connect(str(settings.warehouse_file), read_only=True, config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"SET VARIABLE penstock_now = TIMESTAMPTZ '{settings.now().isoformat()}'")
        for since, until in ((window.training_from, window.holdout_from), (window.holdout_from, window.holdout_until)):
            rows = connection.sql(f"SELECT * FROM ({query}) ORDER BY {order}", params={"from": since, "until": until})
            frames.append(rows.df())
    (trained, outcome), (asked, expected) = (_features(model, frame) for frame in frames)
    estimator = model.estimator().fit(trained, outcome)
    scores = estimator.predict_proba(asked)[:, 1]
    log_loss(expected, scores), brier_score_loss(expected, scores)
    return float(roc_auc_score(expected, scores))


def _features(model: Model, frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    columns = {
        name: frame[name].to_numpy(np.float64)
        if kind == "number"
        else frame[name].to_numpy("datetime64[us]")
        if kind == "time" and frame[name].dt.tz is None
        else frame[name].dt.tz_convert(None).to_numpy("datetime64[us]")
        if kind == "time"
        else frame[name].to_numpy(object)
        for name, kind in model.contract.input_kinds().items()
    }
    made = pd.DataFrame(model.contract.vectors(columns))
    texts = [feature.name for feature in model.contract.features if feature.kind == "text"]
    return made.astype(dict.fromkeys(texts, "category")), frame[model.outcome].to_numpy(np.float64)


def training_memory(settings: Settings, training: Snapshot, holdout: Snapshot, most: int | None) -> float:
    """The peak resident memory of a process that trains the candidate, in MB."""
    arguments = [settings.snapshots, settings.artifacts, training.id, holdout.id, "2026-10", str(most or 0)]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / 1024 * 1.048576
