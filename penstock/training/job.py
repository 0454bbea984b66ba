"""One candidate's training as plain data: which model, from which snapshots; done in this process or in a Ray task."""

from typing import TYPE_CHECKING

from penstock.declare.model import Model
from penstock.releases.ledger import LedgerEntry
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.work import Job, Say, work

if TYPE_CHECKING:
    from penstock.training.candidate import Candidate


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
    from penstock.training.on_ray import train_on_ray

    return train_on_ray(settings.ray_address, job, model.ray_options, say)
