"""From two snapshots to a candidate: fit, score on the held-out rows, pack, and prove the artifact's parity."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_tools import artifact as artifacts
from model_tools.errors import PenstockError
from model_tools.packing import pack
from resources.artifacts import ArtifactStore
from resources.model import Model
from resources.releases import Proposal
from resources.snapshots import Snapshot
from training.frame import TrainingRows, feature_frame, training_rows
from training.metrics import METRICS, Values, bootstrap_interval

PARITY = 1e-12


class ParityError(PenstockError):
    """The artifact does not reproduce scikit-learn's own predictions on the held-out rows."""


@dataclass(frozen=True)
class Evaluation:
    """The held-out rows: outcomes and scores of the candidate and of the base rate, shape (n,) each."""

    outcome: Values
    score: Values
    base_rate: Values | None


@dataclass(frozen=True)
class Candidate:
    """A trained version: what would be released, and how it did."""

    proposal: Proposal
    evaluation: Evaluation
    training_rows: int
    parity: float


def make_candidate(
    model: Model,
    month: str,
    training: Snapshot,
    holdout: Snapshot,
    store: ArtifactStore,
    *,
    code_version: str,
    step: Callable[[str], None] = lambda _: None,
) -> Candidate:
    """Train on one snapshot, judge on the other, and store the artifact; ParityError if it is not exact."""
    step(f"reading {training.rows:,} training and {holdout.rows:,} held-out rows")
    trained_on, held_out = (training_rows(model, s.batches().read_all()) for s in (training, holdout))
    step(f"fitting {type(model.estimator()).__name__}")
    estimator = model.estimator().fit(feature_frame(trained_on.vectors), trained_on.outcome)
    step("scoring the held-out rows")
    expected = _predictions(model, estimator, held_out)
    evaluation = Evaluation(held_out.outcome, _score(expected), _base_rate(model, trained_on, held_out))
    metrics = _metrics(evaluation)
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
            },
        )
        parity = _parity(path, held_out, expected)
        digest = store.put(path)
        size = os.path.getsize(path)
    proposal = Proposal(
        model=model.contract.model,
        artifact=digest,
        contract=model.contract.digest(),
        month=month,
        training_snapshot=training.id,
        holdout_snapshot=holdout.id,
        metrics={**metrics, "parity": parity, "artifact_bytes": size},
        code_version=code_version,
    )
    return Candidate(proposal, evaluation, training.rows, parity)


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


def _predictions(model: Model, estimator: Any, rows: TrainingRows) -> np.ndarray[Any, Any]:
    """What scikit-learn itself answers: (n, classes) probabilities, or (n,) values."""
    frame = feature_frame(rows.vectors)
    answered = (
        estimator.predict_proba(frame) if model.contract.output.kind == "classifier" else estimator.predict(frame)
    )
    return np.asarray(answered, dtype=np.float64)


def _score(predictions: np.ndarray[Any, Any]) -> Values:
    return predictions[:, 1] if predictions.ndim == 2 else predictions


def _parity(path: Path, rows: TrainingRows, expected: np.ndarray[Any, Any]) -> float:
    """The largest absolute difference between the packed model and scikit-learn over all rows."""
    found = artifacts.load(path).predict(rows.vectors)
    difference = float(np.max(np.abs(found - expected))) if len(expected) else 0.0
    if found.shape != expected.shape or not difference <= PARITY:
        raise ParityError(
            f"artifact {path.name}",
            expected=f"scikit-learn's predictions within {PARITY}, shape {expected.shape}",
            found=f"a difference of {difference}, shape {found.shape}",
            todo="The candidate is not stored. Report the estimator and its options as a bug of packing.",
        )
    return difference


def _base_rate(model: Model, trained_on: TrainingRows, held_out: TrainingRows) -> Values | None:
    """The mean training outcome of each held-out row's base-rate group; the overall mean for unseen groups."""
    if model.base_rate_by is None:
        return None
    groups, position = np.unique(model.base_rate_by(trained_on.columns), return_inverse=True)
    means = np.bincount(position, weights=trained_on.outcome) / np.bincount(position)
    wanted = model.base_rate_by(held_out.columns)
    at = np.clip(np.searchsorted(groups, wanted), 0, len(groups) - 1)
    rates: Values = np.where(groups[at] == wanted, means[at], trained_on.outcome.mean())
    return rates


def _metrics(evaluation: Evaluation) -> dict[str, Any]:
    low, high = bootstrap_interval(METRICS["roc_auc"], evaluation.outcome, evaluation.score)
    metrics: dict[str, Any] = {name: metric(evaluation.outcome, evaluation.score) for name, metric in METRICS.items()}
    metrics |= {"roc_auc_low": low, "roc_auc_high": high, "rows": len(evaluation.outcome)}
    metrics["outcome_rate"] = float(evaluation.outcome.mean())
    if evaluation.base_rate is not None:
        metrics["roc_auc_base_rate"] = METRICS["roc_auc"](evaluation.outcome, evaluation.base_rate)
    return metrics
