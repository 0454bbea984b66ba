"""The release ledger and pointer of one book: how a model's current release moves, and who moved it why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from penstock.errors import PenstockError
from penstock.postgres.book import Book

Action = Literal["release", "rollback", "override"]
COLUMNS = """entry, model, version, action, artifact, contract, month, training_snapshot, holdout_snapshot,
    metrics, gate, code_version, who, why, replaced, at"""


class ReleaseError(PenstockError):
    """A release, rollback or ledger question that cannot be met."""


@dataclass(frozen=True)
class LedgerEntry:
    """One row of `app.release`; `version` became current, instead of `replaced`."""

    entry: int
    model: str
    version: int
    action: Action
    artifact: str
    contract: str
    month: str
    training_snapshot: str
    holdout_snapshot: str
    metrics: Mapping[str, Any]
    gate: Mapping[str, Any]
    code_version: str
    who: str
    why: str
    replaced: int | None
    at: datetime


@dataclass(frozen=True)
class Proposal:
    """What is to become current: a candidate's artifact and all that it was made from."""

    model: str
    artifact: str
    contract: str
    month: str
    training_snapshot: str
    holdout_snapshot: str
    metrics: Mapping[str, Any]
    code_version: str


@dataclass(frozen=True)
class Verdict:
    """What the gate said inside the transaction: as which action to record it, and the gate's findings."""

    action: Action
    gate: Mapping[str, Any]


def current(book: Book, model: str) -> LedgerEntry | None:
    """The ledger entry that the pointer names, None before the first release."""
    with book.engine.connect() as connection:
        return _current(connection, model)


def newest_entry(book: Book, model: str, version: int) -> LedgerEntry | None:
    """The newest ledger entry of a version, None if it never was."""
    with book.engine.connect() as connection:
        return _newest_entry(connection, model, version)


def ledger(book: Book, model: str, *, limit: int = 100) -> list[LedgerEntry]:
    """The newest entries of a model, newest first."""
    query = f"SELECT {COLUMNS} FROM app.release WHERE model = :model ORDER BY entry DESC LIMIT :limit"
    with book.engine.connect() as connection:
        return [LedgerEntry(*row) for row in connection.execute(sa.text(query), {"model": model, "limit": limit})]


def release(
    book: Book,
    proposal: Proposal,
    judge: Callable[[LedgerEntry | None], Verdict],
    *,
    who: str,
    why: str,
    version: int | None = None,
) -> LedgerEntry:
    """Make the proposal current, if `judge` lets it through, in the transaction that moves the pointer.

    `judge` gets the current release, which nobody can move meanwhile, and raises to refuse. `version` is
    given where another book has numbered the artifact already; else an artifact keeps its number, or
    gets the next. What is current already stays current, without a new entry.
    """
    with book.engine.begin() as connection:
        _lock(connection, proposal.model)
        before = _current(connection, proposal.model)
        if before is not None and before.artifact == proposal.artifact:
            return before
        verdict = judge(before)
        values = {
            "model": proposal.model,
            "version": _version(connection, proposal, version),
            "action": verdict.action,
            "artifact": proposal.artifact,
            "contract": proposal.contract,
            "month": proposal.month,
            "training_snapshot": proposal.training_snapshot,
            "holdout_snapshot": proposal.holdout_snapshot,
            "metrics": _json(proposal.metrics),
            "gate": _json(verdict.gate),
            "code_version": proposal.code_version,
            "who": who,
            "why": why,
            "replaced": before.version if before else None,
        }
        return _move(connection, values)


def rollback(book: Book, model: str, *, who: str, why: str, to: int | None = None) -> LedgerEntry:
    """Make an earlier version current again: `to`, or what the current one replaced when it was released."""
    with book.engine.begin() as connection:
        _lock(connection, model)
        before = _current(connection, model)
        if before is None:
            raise ReleaseError(f"model {model!r} in {book.name}", expected="a current release", found="none")
        wanted = to if to is not None else _predecessor(connection, before)
        if wanted is None:
            raise ReleaseError(
                f"rollback of {model!r} in {book.name}",
                expected="a release before the current one",
                found=f"version {before.version} is the first",
            )
        target = _newest_entry(connection, model, wanted)
        if target is None:
            raise ReleaseError(
                f"rollback of {model!r} in {book.name}",
                expected="a version of the ledger",
                found=str(wanted),
                todo=f"`penstock releases {model}` lists them.",
            )
        if target.artifact == before.artifact:
            return before
        values = {
            name: getattr(target, name) for name in LedgerEntry.__dataclass_fields__ if name not in ("entry", "at")
        }
        values |= {
            "metrics": _json(target.metrics),
            "gate": _json({"rollback_from": before.version}),
            "action": "rollback",
            "who": who,
            "why": why,
            "replaced": before.version,
        }
        return _move(connection, values)


def _move(connection: sa.Connection, values: Mapping[str, Any]) -> LedgerEntry:
    """Append to the ledger, move the pointer to the new entry, and tell the replicas."""
    row = connection.execute(
        sa.text(
            f"""INSERT INTO app.release (model, version, action, artifact, contract, month, training_snapshot,
                holdout_snapshot, metrics, gate, code_version, who, why, replaced)
            VALUES (:model, :version, :action, :artifact, :contract, :month, :training_snapshot,
                :holdout_snapshot, CAST(:metrics AS jsonb), CAST(:gate AS jsonb), :code_version, :who, :why, :replaced)
            RETURNING {COLUMNS}"""
        ),
        dict(values),
    ).one()
    entry = LedgerEntry(*row)
    connection.execute(
        sa.text(
            """INSERT INTO app.current_release (model, entry, version, artifact, contract)
            VALUES (:model, :entry, :version, :artifact, :contract)
            ON CONFLICT (model) DO UPDATE SET entry = excluded.entry, version = excluded.version,
                artifact = excluded.artifact, contract = excluded.contract"""
        ),
        {name: getattr(entry, name) for name in ("model", "entry", "version", "artifact", "contract")},
    )
    connection.execute(
        sa.text("SELECT pg_notify('penstock', :message)"), {"message": f"release {entry.model} {entry.version}"}
    )
    return entry


def _current(connection: sa.Connection, model: str) -> LedgerEntry | None:
    query = f"""SELECT {", ".join("r." + name.strip() for name in COLUMNS.split(","))}
        FROM app.current_release AS c JOIN app.release AS r USING (entry) WHERE c.model = :model"""
    row = connection.execute(sa.text(query), {"model": model}).one_or_none()
    return LedgerEntry(*row) if row is not None else None


def _predecessor(connection: sa.Connection, entry: LedgerEntry) -> int | None:
    """What the version replaced when it was released; a rollback to it does not count as that."""
    query = """SELECT replaced FROM app.release
        WHERE model = :model AND version = :version AND action <> 'rollback' ORDER BY entry DESC LIMIT 1"""
    found = connection.execute(sa.text(query), {"model": entry.model, "version": entry.version})
    return found.scalar_one_or_none()


def _newest_entry(connection: sa.Connection, model: str, version: int) -> LedgerEntry | None:
    query = f"""SELECT {COLUMNS} FROM app.release WHERE model = :model AND version = :version
        ORDER BY entry DESC LIMIT 1"""
    row = connection.execute(sa.text(query), {"model": model, "version": version}).one_or_none()
    return LedgerEntry(*row) if row is not None else None


def _version(connection: sa.Connection, proposal: Proposal, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    query = """SELECT coalesce(
        (SELECT version FROM app.release WHERE model = :model AND artifact = :artifact ORDER BY entry LIMIT 1),
        (SELECT max(version) + 1 FROM app.release WHERE model = :model), 1)"""
    found = connection.execute(sa.text(query), {"model": proposal.model, "artifact": proposal.artifact})
    return int(found.scalar_one())


def _lock(connection: sa.Connection, model: str) -> None:
    """Held to the transaction's end: one mover at a time per model."""
    key = f"penstock.release.{model}"
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
