"""One candidate's training as plain data, and the work itself."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import LedgerEntry
from penstock.snapshots.store import SnapshotStore

if TYPE_CHECKING:
    from penstock.training.candidate import Candidate


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


def work(job: Job, cache: Path, say: Say) -> "Candidate":
    """Train in this process, whatever process that is; PenstockError if its code is not that of the job."""
    from penstock.training.candidate import make_candidate
    from penstock.training.continuing import start_of

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
