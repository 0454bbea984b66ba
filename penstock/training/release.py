"""The releasing step: the gate, computed again inside the transaction that moves the pointer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from penstock.artifact import load as artifacts
from penstock.declare.model import Model
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import LedgerEntry, Proposal, ReleaseError, Verdict, current, release
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training.evaluation import score_of
from penstock.training.frame import TrainingRows, read_rows
from penstock.training.gate import Decision, GateError, judge
from penstock.training.metrics import Values

MOST_SCORED = 4
SCORED: dict[tuple[str, str, str], Values] = {}


def release_to_test(
    settings: Settings, model: Model, proposal: Proposal, book: Book, *, who: str, why: str, override: bool = False
) -> LedgerEntry:
    """Release into TEST if the gate lets it; GateError, and nothing changed, if not."""
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
    rows = read_rows(model, SnapshotStore(settings.snapshots).open(proposal.holdout_snapshot))
    reasons: list[str] = []
    if proposal.contract != model.contract.digest():
        reasons.append(f"its contract {proposal.contract[:12]} is not the running one {model.contract.digest()[:12]}")
    if before is not None and proposal.month < before.month:
        reasons.append(f"its month {proposal.month} is older than {before.month} of release {before.version}")
    scored = None
    with ThreadPoolExecutor(1) as beside:
        candidate_score = beside.submit(_score, settings, proposal.artifact, model, rows, proposal.holdout_snapshot)
        if before is not None:
            scored = _score(settings, before.artifact, model, rows, proposal.holdout_snapshot)
            if scored is None:
                reasons.append(
                    f"release {before.version} needs features, or has classes, that the contract no longer has"
                )
    candidate = candidate_score.result()
    if candidate is None:
        reasons.append("it needs features, or has classes, that the contract does not have")
        candidate = np.full(_shape(model, rows), 0.5)
    return judge(
        model.gate,
        rows.outcome,
        candidate,
        scored,
        current_version=before.version if before else None,
        slices=rows.slices,
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
            raise GateError(proposal.model, decision)
        return Verdict("release" if decision.passed else "override", msgspec.to_builtins(decision))

    return release(book, proposal, verdict, who=who, why=why, version=version)


def _score(settings: Settings, digest: str, model: Model, rows: TrainingRows, snapshot: str) -> Values | None:
    """The scores of a stored artifact on rows; None if it needs features, or answers in classes, that are not there.

    Artifact, rows and contract are named by the digests of their content, so what a gate of this process has computed
    of the same three, for the candidate's page or for the other book, is what it would compute again.
    """
    key = digest, snapshot, model.contract.digest()
    if key in SCORED:
        return SCORED[key]
    loaded = artifacts.load(ArtifactStore(settings.artifacts).fetch(digest, artifact_cache(settings)))
    declared = {feature.name for feature in model.contract.features}
    if not {feature.name for feature in loaded.features} <= declared:
        return None
    scores = score_of(loaded.predict({feature.name: rows.vectors[feature.name] for feature in loaded.features}))
    if scores.shape != _shape(model, rows):
        return None
    for oldest in list(SCORED)[: 1 - MOST_SCORED]:
        SCORED.pop(oldest, None)
    SCORED[key] = scores
    return scores


def _shape(model: Model, rows: TrainingRows) -> tuple[int, ...]:
    """What shape the model's scores of n rows have."""
    several = (len(model.contract.output.classes),) if model.task == "multiclass" else ()
    return (len(rows.outcome), *several)


def artifact_cache(settings: Settings) -> Path:
    """Where this node keeps the artifacts that it has fetched and checked."""
    return settings.home / "cache" / "artifacts"
