"""Making a candidate from two snapshots: fit, score the held-out rows, pack, prove parity, and write the card."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.artifact.file import rewrite
from penstock.artifact.load import load as load_artifact
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.declare.fitting import FitResult
from penstock.declare.model import Model
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import Card, CardStore
from penstock.releases.ledger import Proposal
from penstock.snapshots.store import Snapshot
from penstock.training.bounds import demand_inside
from penstock.training.card import make_card
from penstock.training.conformal import calibrate, coverage
from penstock.training.continuing import Start, go_on, keep
from penstock.training.evaluation import evaluate, metrics_of
from penstock.training.fitting import fit
from penstock.training.frame import TrainingRows, fitting_frame, read_rows, text_categories, without_values
from penstock.training.held_out import HeldOut
from penstock.training.metrics import score_of
from penstock.training.outcomes import OutcomeError, class_names, demand_outcomes
from penstock.training.parity import allowed_parity, demand_kind, demand_parity, own_predictions
from penstock.training.sample import sample_of

BACKGROUND_ROWS = 10_000
"""Training rows over which the columns of an explained model are averaged, at most."""


@dataclass(frozen=True)
class Candidate:
    """A trained version, as plain data that a Ray task can return.

    `parity` is the largest difference between the artifact's predictions and those of the estimator itself.
    """

    proposal: Proposal
    training_rows: int
    holdout_rows: int
    parity: float
    card: Card


def make_candidate(
    model: Model,
    period: str,
    training: Snapshot,
    held_out: HeldOut,
    store: ArtifactStore,
    *,
    code_version: str,
    start: Start | None = None,
    incomplete_until: str = "",
    step: Callable[[str], None] = lambda _: None,
) -> Candidate:
    """Train on one snapshot, score the held-out rows, and store the artifact; ParityError if it is not exact.

    With a `start`, the estimator of `start` is trained further, on the rows of `start` instead of those of `training`.
    """
    estimator = start.estimator if start else model.estimator()
    demand_storable(estimator, model.contract.output, model.trusted_types, kept=bool(model.continues))
    training = start.rows if start else training
    sample = sample_of(training, model.most_training_rows) if model.most_training_rows else None
    which = f"a sample of {model.most_training_rows:,} of " if sample else ""
    step(f"reading {which}{training.rows:,} training and {held_out.snapshot.rows:,} held-out rows")
    trained_on, judged_on = read_rows(model, training, sample), held_out.rows
    demand_outcomes(model, trained_on, judged_on)
    if trained_on.left_out or judged_on.left_out:
        step(
            f"leaving out {trained_on.left_out:,} training and {judged_on.left_out:,} held-out rows without an outcome"
        )
    beyond = trained_on.outside + judged_on.outside
    demand_inside(model, beyond, len(trained_on.outcome) + len(judged_on.outcome), step)
    step(f"fitting {type(estimator).__name__}")
    if empty := without_values(trained_on.vectors):
        step(f"fitting {', '.join(empty)} as constant: no training row has a value")
    frame = fitting_frame(trained_on.vectors)
    on = FitResult(go_on(model, estimator, frame, trained_on.outcome)) if start else None
    fitted = on or fit(model, estimator, frame, trained_on)
    estimator = fitted.estimator
    _demand_classes(model, estimator)
    step("scoring the held-out rows")
    expected = own_predictions(model, estimator, judged_on, frame)
    evaluation = evaluate(model, trained_on, judged_on, expected.astype(np.float64))
    metrics = metrics_of(model, evaluation) | {"training_rows": len(trained_on.outcome)}
    counts = {"rows_without_outcome": trained_on.left_out + judged_on.left_out, "rows_outside_bounds": beyond.count}
    metrics |= {name: count for name, count in counts.items() if count}
    if sample:
        metrics["sampled_from_rows"] = training.rows
    if model.trusted_types:
        metrics["trusted_types"] = ", ".join(model.trusted_types)
    if incomplete_until:
        metrics["incomplete_until"] = incomplete_until
    step("packing, and comparing the artifact with the estimator itself on every held-out row")
    metadata = {
        "model": model.contract.model,
        "period": period,
        "contract": model.contract.digest(),
        "training_snapshot": training.id,
        "holdout_snapshot": held_out.snapshot.id,
        "metrics": metrics,
    }
    if model.continues:
        metadata |= {"estimator": keep(estimator, store), "continues": start.artifact if start else ""}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{model.contract.model}.penstock"
        pack(
            estimator,
            path,
            features=model.contract.features,
            metadata=metadata,
            trusted_types=model.trusted_types,
            background=_background(trained_on) if model.explain else None,
            categories=text_categories(frame),
        )
        artifact = load_artifact(path)
        demand_kind(model, artifact)
        predictions = artifact.predict(judged_on.vectors)
        parity = demand_parity(artifact, predictions, expected, allowed := allowed_parity(estimator, expected))
        artifact = _calibrated(model, artifact, metadata, predictions, judged_on)
        proposal = Proposal(
            model=model.contract.model,
            artifact=store.put(path),
            contract=model.contract.digest(),
            period=period,
            training_snapshot=training.id,
            holdout_snapshot=held_out.snapshot.id,
            metrics={**artifact.metadata["metrics"], "parity": parity, "artifact_bytes": os.path.getsize(path)},
            code_version=code_version,
        )
        held_out.keep_scores(proposal.artifact, score_of(predictions, model.task))
        step("writing the model card")
        card = make_card(
            model,
            proposal,
            artifact,
            evaluation,
            judged_on,
            training=training,
            holdout=held_out.snapshot,
            parity_allowed=allowed,
            start=start,
            outside=tuple(beyond.fields.items()),
            fitted=fitted,
        )
        CardStore(store.url).put(card)
    return Candidate(proposal, len(trained_on.outcome), len(judged_on.outcome), parity, card)


def _calibrated(
    model: Model,
    artifact: Artifact,
    metadata: dict[str, Any],
    predictions: np.ndarray[Any, Any],
    judged_on: TrainingRows,
) -> Artifact:
    """The artifact with what its intervals or sets are made of, and their coverage among its metrics; unchanged where
    the model declares none."""
    if not (model.interval or model.sets):
        return artifact
    conformal = calibrate(model, predictions, judged_on.outcome)
    found = coverage(conformal, predictions, judged_on.outcome)
    metrics = metadata["metrics"] | {"coverage": found.share, "coverage_rows": found.rows}
    rewrite(artifact.path, conformal=conformal, metadata=metadata | {"metrics": metrics})
    return load_artifact(artifact.path)


def _background(rows: TrainingRows) -> dict[str, Any]:
    """At most BACKGROUND_ROWS training rows, evenly spaced."""
    count = len(rows.outcome)
    places = np.unique(np.linspace(0, count - 1, min(BACKGROUND_ROWS, count)).astype(np.int64))
    return {name: values[places] for name, values in rows.vectors.items()}


def _demand_classes(model: Model, estimator: Any) -> None:
    """OutcomeError unless the estimator's classes are those that the contract declares, in the same order."""
    if model.contract.output.kind == "regressor" or not hasattr(estimator, "classes_"):  # a booster numbers them
        return
    declared, found = len(class_names(model)), np.asarray(estimator.classes_)
    if found.shape != (declared,) or not np.array_equal(found.astype(np.float64), np.arange(declared)):
        raise OutcomeError(
            f"training rows of model {model.contract.model!r}",
            expected=f"every outcome from 0 to {declared - 1}",
            found=", ".join(f"{value:g}" for value in found.astype(np.float64)),
            todo="Take a longer window, or declare the classes that there are.",
        )
