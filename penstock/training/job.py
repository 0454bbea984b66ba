"""One candidate's training as plain data, and the work itself, in this process or in a Ray task."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import LedgerEntry
from penstock.snapshots.store import SnapshotStore
from penstock.training.held_out import HeldOut

if TYPE_CHECKING:
    from penstock.training.candidate import Candidate

Say = Callable[[str], None]


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


def work_alone(job: Job, cache: Path, say: Say) -> "Candidate":
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


def work(job: Job, held_out: HeldOut, cache: Path, say: Say) -> "Candidate":
    """Train in this process, and judge on `held_out`, which keeps the scores of the candidate."""
    from penstock.training.candidate import make_candidate
    from penstock.training.continuing import start_of

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
