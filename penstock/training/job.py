"""One candidate's training as plain data: which model, from which snapshots; done in this process or in a Ray task."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from model_tools.errors import PenstockError
from resources.artifacts import ArtifactStore
from resources.model import Model
from resources.releases import LedgerEntry
from resources.settings import Settings
from resources.snapshots import Snapshot, SnapshotStore

if TYPE_CHECKING:
    from training.candidate import Candidate

Say = Callable[[str], None]


class Job(msgspec.Struct, frozen=True):
    """What a worker has to know. `declared_in` is the module whose `declared()` has the model; snapshots are named by
    their ids, and `before` is the current release in TEST, from which a model may go on."""

    declared_in: str
    model: str
    contract: str
    month: str
    training: str
    holdout: str
    snapshots: str
    artifacts: str
    code_version: str
    before: LedgerEntry | None = None


def train(
    settings: Settings,
    model: Model,
    month: str,
    training: Snapshot,
    holdout: Snapshot,
    *,
    declared_in: str,
    before: LedgerEntry | None,
    code_version: str,
    say: Say = lambda _: None,
) -> "Candidate":
    """The candidate of a month: trained in a Ray task where PENSTOCK_RAY_ADDRESS names a cluster, else here."""
    job = Job(
        declared_in=declared_in,
        model=model.contract.model,
        contract=model.contract.digest(),
        month=month,
        training=training.id,
        holdout=holdout.id,
        snapshots=settings.snapshots,
        artifacts=settings.artifacts,
        code_version=code_version,
        before=before,
    )
    if not settings.ray_address:
        return work(job, settings.home / "cache" / "artifacts", say)
    from training.on_ray import train_on_ray

    return train_on_ray(settings.ray_address, job, model.ray_options, say)


def work(job: Job, cache: Path, say: Say) -> "Candidate":
    """Train in this process, whatever process that is; PenstockError if its code is not that of the job."""
    from training.candidate import make_candidate
    from training.continuing import start_of

    model: Model = importlib.import_module(job.declared_in).declared().model(job.model)
    if model.contract.digest() != job.contract:
        raise PenstockError(
            f"contract of model {job.model!r} where it is trained",
            expected=job.contract[:12],
            found=model.contract.digest()[:12],
            todo="Install the same code on Ray's nodes.",
        )
    snapshots, store = SnapshotStore(job.snapshots), ArtifactStore(job.artifacts)
    start = start_of(model, job.month, job.before, store=store, snapshots=snapshots, cache=cache, say=say)
    return make_candidate(
        model,
        job.month,
        snapshots.open(job.training),
        snapshots.open(job.holdout),
        store,
        code_version=job.code_version,
        start=start,
        step=say,
    )
