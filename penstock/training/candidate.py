"""Making a candidate from two snapshots: fit, score the held-out rows, pack, prove parity, and write the card.

In this process or on a node of Ray, where a `Job` says everything.
"""

import importlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.load import load as load_artifact
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.declare.fitting import FitResult
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.quantity import counted
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import Card, CardStore
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import Proposal
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.training.bounds import demand_inside
from penstock.training.card import make_card
from penstock.training.conformal import calibrated
from penstock.training.continuing import Start, go_on, keep, start_of
from penstock.training.evaluation import evaluate, metrics_of
from penstock.training.fitting import fit
from penstock.training.frame import TrainingRows, fitting_frame, read_rows, text_categories, without_values
from penstock.training.held_out import HeldOut
from penstock.training.metrics import score_of
from penstock.training.outcomes import OutcomeError, class_names, demand_outcomes
from penstock.training.parity import allowed_parity, demand_alone, demand_kind, demand_parity, own_predictions
from penstock.training.sample import sample_of

Say = Callable[[str], None]
BACKGROUND_ROWS = 10_000
"""Training rows over which the columns of an explained model are averaged, at most."""


class Job(msgspec.Struct, frozen=True):
    """What a worker has to know.

    - `declared_in`: the module whose function `declared` returns the declarations, with the model.
    - `contract`: the digest that the model's contract must have where it is trained.
    - `training`, `holdout`: the ids of the snapshots in the store `snapshots`.
    - `incomplete_until`: when the outcomes of the period will be known, empty if they are.
    - `before`: the current release in TEST, from which a model that continues is trained on.
    """

    declared_in: str
    model: str
    contract: str
    period: str
    training: str
    holdout: str
    snapshots: str
    artifacts: str
    code_version: str
    before: LedgerEntry | None = None
    incomplete_until: str = ""


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


def work_alone(job: Job, cache: Path, say: Say) -> Candidate:
    """Train where nothing but the job is known; PenstockError if the code there is not that of the job."""
    model: Model = importlib.import_module(job.declared_in).declared().model(job.model)
    if model.contract.digest() != job.contract:
        raise PenstockError(
            f"contract of model {job.model!r} where it is trained",
            expected=job.contract[:12],
            found=model.contract.digest()[:12],
            todo="Install the same code on Ray's nodes.",
        )
    holdout = SnapshotStore(job.snapshots).open(job.holdout)
    return work(job, HeldOut(model, holdout, ArtifactStore(job.artifacts), cache), cache, say)


def work(job: Job, held_out: HeldOut, cache: Path, say: Say) -> Candidate:
    """Train in this process, and judge on `held_out`, which keeps the scores of the candidate."""
    model, snapshots, store = held_out.model, SnapshotStore(job.snapshots), ArtifactStore(job.artifacts)
    start = None
    if model.continues:
        start = start_of(model, job.period, job.before, store=store, snapshots=snapshots, cache=cache, say=say)
    return make_candidate(
        model,
        job.period,
        snapshots.open(job.training),
        held_out,
        store,
        code_version=job.code_version,
        start=start,
        incomplete_until=job.incomplete_until,
        step=say,
    )


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
    step: Say = lambda _: None,
) -> Candidate:
    """Train on one snapshot, score the held-out rows, and store the artifact; ParityError if it is not exact.

    With a `start`, the estimator of `start` is trained further, on the rows of `start` instead of those of `training`.
    """
    estimator = start.estimator if start else model.estimator()
    demand_storable(estimator, model.contract.output, model.trusted_types, kept=bool(model.continues))
    training = start.rows if start else training
    sample = sample_of(training, model.most_training_rows) if model.most_training_rows else None
    which = f"a sample of {model.most_training_rows:,} of " if sample else ""
    step(f"reading {which}{training.rows:,} training and {counted(held_out.snapshot.rows, 'held-out row')}")
    trained_on, judged_on = read_rows(model, training, sample), held_out.rows
    demand_outcomes(model, trained_on, judged_on)
    if trained_on.left_out or judged_on.left_out:
        step(
            f"leaving out {trained_on.left_out:,} training and {counted(judged_on.left_out, 'held-out row')} without an"
            " outcome"
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
    circumstances = {
        "rows_without_outcome": trained_on.left_out + judged_on.left_out,
        "rows_outside_bounds": beyond.count,
        "sampled_from_rows": training.rows if sample else 0,
        "trusted_types": ", ".join(model.trusted_types),
        "incomplete_until": incomplete_until,
    }
    metrics |= {name: found for name, found in circumstances.items() if found}
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
        allowed = allowed_parity(estimator, expected)
        parity = demand_parity(artifact, predictions, expected, allowed, estimator, judged_on.vectors)
        demand_alone(artifact, judged_on.vectors, predictions)
        if model.interval or model.sets:
            artifact = calibrated(model, artifact, metadata, predictions, judged_on.outcome)
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
