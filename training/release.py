"""The releasing step: the gate, computed again inside the transaction that moves the pointer."""

from pathlib import Path

import msgspec
import numpy as np

from model_tools import artifact as artifacts
from model_tools.contract import Contract
from resources.artifacts import ArtifactStore
from resources.book import Book
from resources.model import Model
from resources.releases import LedgerEntry, Proposal, ReleaseError, Verdict, current, release
from resources.settings import Settings
from resources.snapshots import SnapshotStore
from training.frame import TrainingRows, training_rows
from training.gate import Decision, GateRefused, judge
from training.metrics import Values


def release_to_test(
    settings: Settings, model: Model, proposal: Proposal, book: Book, *, who: str, why: str, override: bool = False
) -> LedgerEntry:
    """Release into TEST if the gate lets it; GateRefused, and nothing changed, if not."""
    return _release(settings, model, proposal, book, who=who, why=why, override=override)


def release_to_prod(
    settings: Settings,
    model: Model,
    proposal: Proposal,
    test: Book,
    prod: Book,
    *,
    who: str,
    why: str,
    override: bool = False,
) -> LedgerEntry:
    """Release into PROD what is current in TEST, under the same version, if PROD's own gate lets it."""
    there = current(test, proposal.model)
    if there is None or there.artifact != proposal.artifact:
        raise ReleaseError(
            f"release of {proposal.model} into PROD",
            expected="an artifact that is current in TEST",
            found=f"{proposal.artifact[:12]}, while TEST has {there.artifact[:12] if there else 'none'}",
            todo="Release it into TEST first.",
        )
    return _release(settings, model, proposal, prod, who=who, why=why, override=override, version=there.version)


def gate(settings: Settings, model: Model, proposal: Proposal, before: LedgerEntry | None) -> Decision:
    """Score the candidate and the current release on the candidate's held-out rows, and judge."""
    held_out = SnapshotStore(settings.snapshots).open(proposal.holdout_snapshot)
    rows = training_rows(model, held_out.batches().read_all())
    slices = rows.columns[model.gate.slice_by] if model.gate.slice_by else None
    reasons: list[str] = []
    if proposal.contract != model.contract.digest():
        reasons.append(f"its contract {proposal.contract[:12]} is not the running one {model.contract.digest()[:12]}")
    if before is not None and proposal.month < before.month:
        reasons.append(f"its month {proposal.month} is older than {before.month} of release {before.version}")
    scored = None
    if before is not None:
        scored = _score(settings, before.artifact, model.contract, rows)
        if scored is None:
            reasons.append(f"release {before.version} needs features that the contract no longer has: not comparable")
    candidate = _score(settings, proposal.artifact, model.contract, rows)
    if candidate is None:
        reasons.append("it needs features that the contract does not have")
        candidate = np.full(len(rows.outcome), 0.5)
    return judge(
        model.gate,
        rows.outcome,
        candidate,
        scored,
        current_version=before.version if before else None,
        slices=slices,
        further_reasons=tuple(reasons),
    )


def _release(
    settings: Settings,
    model: Model,
    proposal: Proposal,
    book: Book,
    *,
    who: str,
    why: str,
    override: bool,
    version: int | None = None,
) -> LedgerEntry:
    def verdict(before: LedgerEntry | None) -> Verdict:
        decision = gate(settings, model, proposal, before)
        if not decision.passed and not override:
            raise GateRefused(proposal.model, decision)
        return Verdict("release" if decision.passed else "override", msgspec.to_builtins(decision))

    return release(book, proposal, verdict, who=who, why=why, version=version)


def _score(settings: Settings, digest: str, contract: Contract, rows: TrainingRows) -> Values | None:
    """The scores of a stored artifact on rows, shape (n,); None if it needs features that are not there."""
    loaded = artifacts.load(ArtifactStore(settings.artifacts).fetch(digest, artifact_cache(settings)))
    declared = {feature.name for feature in contract.features}
    if not {feature.name for feature in loaded.features} <= declared:
        return None
    predictions = loaded.predict({feature.name: rows.vectors[feature.name] for feature in loaded.features})
    return predictions[:, 1] if predictions.ndim == 2 else predictions


def artifact_cache(settings: Settings) -> Path:
    """Where this node keeps the artifacts that it has fetched and checked."""
    return settings.home / "cache" / "artifacts"
