"""From two snapshots to a candidate: fit, score on the held-out rows, pack, prove parity, and write its card."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.artifact import load as artifacts
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import Card, CardStore
from penstock.releases.ledger import Proposal
from penstock.snapshots.store import Snapshot
from penstock.training.card import make_card
from penstock.training.continuing import Start, go_on, keep
from penstock.training.evaluation import evaluate, metrics_of
from penstock.training.frame import OutcomeError, TrainingRows, feature_frame, read_rows
from penstock.training.sample import sample_of

PARITY = 1e-12


class ParityError(PenstockError):
    """The artifact does not reproduce scikit-learn's own predictions on the held-out rows."""


@dataclass(frozen=True)
class Candidate:
    """A trained version: what would be released, from how many rows, and how it did. Plain data: it travels."""

    proposal: Proposal
    training_rows: int
    holdout_rows: int
    parity: float
    card: Card


def make_candidate(
    model: Model,
    month: str,
    training: Snapshot,
    holdout: Snapshot,
    store: ArtifactStore,
    *,
    code_version: str,
    start: Start | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Candidate:
    """Train on one snapshot, judge on the other, and store the artifact; ParityError if it is not exact.

    With a `start` the candidate goes on from there, on the rows of the start instead of those of `training`.
    """
    training = start.rows if start else training
    sample = sample_of(training, model.most_training_rows)
    taken = f"a sample of {model.most_training_rows:,} of " if sample else ""
    step(f"reading {taken}{training.rows:,} training and {holdout.rows:,} held-out rows")
    trained_on, held_out = read_rows(model, training, sample), read_rows(model, holdout)
    estimator = start.estimator if start else model.estimator()
    step(f"fitting {type(estimator).__name__}")
    frame = feature_frame(trained_on.vectors)
    estimator = (
        go_on(model, estimator, frame, trained_on.outcome) if start else estimator.fit(frame, trained_on.outcome)
    )
    _demand_classes(model, estimator)
    kept = (
        {"estimator": keep(estimator, store), "continues": start.artifact if start else ""} if model.continues else {}
    )
    step("scoring the held-out rows")
    expected = _predictions(model, estimator, held_out)
    evaluation = evaluate(model, trained_on, held_out, expected)
    metrics = metrics_of(model, evaluation) | {"training_rows": len(trained_on.outcome)}
    if sample:
        metrics["sampled_from_rows"] = training.rows
    step("packing, and comparing the artifact with scikit-learn on every held-out row")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{model.contract.model}.penstock"
        pack(
            estimator,
            path,
            features=model.contract.features,
            metadata={
                "model": model.contract.model,
                "month": month,
                "contract": model.contract.digest(),
                "training_snapshot": training.id,
                "holdout_snapshot": holdout.id,
                "metrics": metrics,
            }
            | kept,
        )
        packed = artifacts.load(path)
        parity = _parity(packed, held_out, expected)
        proposal = Proposal(
            model=model.contract.model,
            artifact=store.put(path),
            contract=model.contract.digest(),
            month=month,
            training_snapshot=training.id,
            holdout_snapshot=holdout.id,
            metrics={**metrics, "parity": parity, "artifact_bytes": os.path.getsize(path)},
            code_version=code_version,
        )
        step("writing the model card")
        card = make_card(
            model,
            proposal,
            packed,
            evaluation,
            held_out,
            training=training,
            holdout=holdout,
            parity_allowed=PARITY,
            start=start,
        )
        CardStore(store.url).put(card)
    return Candidate(proposal, len(trained_on.outcome), len(held_out.outcome), parity, card)


def proposal_of(store: ArtifactStore, digest: str, cache: Path, *, code_version: str) -> Proposal:
    """What an artifact of the store says of itself, as a proposal; for a release long after the training."""
    loaded = artifacts.load(store.fetch(digest, cache))
    said = loaded.metadata
    return Proposal(
        model=str(said["model"]),
        artifact=digest,
        contract=str(said["contract"]),
        month=str(said["month"]),
        training_snapshot=str(said["training_snapshot"]),
        holdout_snapshot=str(said["holdout_snapshot"]),
        metrics=said["metrics"],
        code_version=code_version,
    )


def _demand_classes(model: Model, estimator: Any) -> None:
    """A probability of the artifact must mean the class that the contract declares at its place."""
    if model.task == "regression":
        return
    declared, found = max(len(model.contract.output.classes), 2), np.asarray(estimator.classes_)
    if found.shape != (declared,) or not np.array_equal(found.astype(np.float64), np.arange(declared)):
        raise OutcomeError(
            f"training rows of model {model.contract.model!r}",
            expected=f"every outcome from 0 to {declared - 1}",
            found=", ".join(f"{value:g}" for value in found.astype(np.float64)),
            todo="Take a longer window, or declare the classes that there are.",
        )


def _predictions(model: Model, estimator: Any, rows: TrainingRows) -> np.ndarray[Any, Any]:
    """What scikit-learn itself answers: (n, classes) probabilities, or (n,) values."""
    frame = feature_frame(rows.vectors)
    answered = (
        estimator.predict_proba(frame) if model.contract.output.kind == "classifier" else estimator.predict(frame)
    )
    return np.asarray(answered, dtype=np.float64)


def _parity(packed: Artifact, rows: TrainingRows, expected: np.ndarray[Any, Any]) -> float:
    """The largest absolute difference between the packed model and scikit-learn over all rows."""
    found = packed.predict(rows.vectors)
    difference = float(np.max(np.abs(found - expected))) if len(expected) else 0.0
    if found.shape != expected.shape or not difference <= PARITY:
        raise ParityError(
            f"artifact of {packed.estimator}",
            expected=f"scikit-learn's predictions within {PARITY}, shape {expected.shape}",
            found=f"a difference of {difference}, shape {found.shape}",
            todo="The candidate is not stored. Report the estimator and its options as a bug of packing.",
        )
    return difference
