"""Incremental learning: the estimator of the current release is trained further, on the rows that are new since."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from penstock.artifact.load import load as load_artifact
from penstock.artifact.skops_artifact import from_bytes, to_bytes
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import LedgerEntry
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.training.metrics import Values


@dataclass(frozen=True)
class Start:
    """The estimator of a release, and the rows on which it has not been trained."""

    estimator: Any
    artifact: str
    release: int
    rows: Snapshot


def start_of(
    model: Model,
    period: str,
    before: LedgerEntry | None,
    *,
    store: ArtifactStore,
    snapshots: SnapshotStore,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Start | None:
    """The start of a model that continues, or None if its candidate must be trained anew on the whole window.

    The start is the current release `before` if it has the same contract and was made for the period before. It was
    judged on the rows of its own period, not trained on them, so those rows are the new ones.
    """
    digest = ""
    if before is not None:
        digest = str(load_artifact(store.fetch(before.artifact, cache)).metadata.get("estimator", ""))
    obstacle = _obstacle(model, period, before, digest, snapshots)
    if before is None or obstacle:
        say(f"training anew on the whole window: {obstacle}")
        return None
    path = _store(store).fetch(digest, cache)
    estimator = from_bytes(path.read_bytes(), f"estimator {digest} of release {before.release}")
    say(f"going on from release {before.release}")
    return Start(estimator, before.artifact, before.release, snapshots.open(before.holdout_snapshot))


def _obstacle(model: Model, period: str, before: LedgerEntry | None, digest: str, snapshots: SnapshotStore) -> str:
    """Why the candidate of the period cannot start from the release; empty if it can."""
    if before is None:
        return "there is no release to go on from"
    if Period.parse(before.period).moved(1) != Period.parse(period):
        return f"release {before.release} is of {before.period}, not of the period before {period}"
    if not model.contract.is_of(before.contract):
        return f"release {before.release} has another contract"
    if not digest:
        return f"release {before.release} did not store its estimator"
    if not snapshots.exists(before.holdout_snapshot):
        return f"snapshot {before.holdout_snapshot[:12]} of release {before.release} is no longer kept"
    return ""


def go_on(model: Model, estimator: Any, frame: pd.DataFrame, outcome: Values) -> Any:
    """Train the estimator on n more rows. The steps of a pipeline before its last stay as they were first fitted."""
    steps, last = _taken_apart(estimator)
    rows = steps.transform(frame) if steps is not None else frame
    if model.continues == "partial_fit":
        if not hasattr(last, "partial_fit"):
            raise _cannot(model, last, "an estimator with partial_fit")
        last.partial_fit(rows, outcome)
        return estimator
    if not hasattr(last, "warm_start") or not hasattr(last, "n_estimators"):
        raise _cannot(model, last, "an estimator with warm_start and n_estimators")
    _, fresh = _taken_apart(model.estimator())
    last.set_params(warm_start=True, n_estimators=last.n_estimators + fresh.n_estimators)
    if hasattr(last, "classes_") and not np.array_equal(np.unique(outcome), last.classes_):
        raise _cannot(model, last, "rows of every class in each period")
    last.fit(rows, outcome)
    return estimator


def keep(estimator: Any, store: ArtifactStore) -> str:
    """Store a fitted estimator beside the artifacts, as a skops file, and return its digest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator"
        path.write_bytes(to_bytes(estimator))
        return _store(store).put(path)


def _store(store: ArtifactStore) -> ArtifactStore:
    return ArtifactStore(f"{store.url}/estimators")


def _taken_apart(estimator: Any) -> tuple[Any, Any]:
    """The first steps of a pipeline and its last step; for any other estimator, None and the estimator."""
    return (estimator[:-1], estimator[-1]) if hasattr(estimator, "steps") else (None, estimator)


def _cannot(model: Model, last: Any, expected: str) -> PenstockError:
    return PenstockError(
        f"model {model.contract.model!r}, which continues by {model.continues}",
        expected=expected,
        found=type(last).__name__,
        todo="Choose another estimator, or train each period anew.",
    )
