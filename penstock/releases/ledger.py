"""The release ledger of one book, append-only, and its pointer: how a model's current release moves, who and why."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.releases.entry import COLUMNS, CONTRACT, CURRENT_RELEASES, ENTRIES, Action, CurrentRelease, LedgerEntry

PATIENCE_SECONDS = 600
"""How long a release or rollback waits for another one of the same model."""
_NEWEST = " ORDER BY entry DESC LIMIT 1"
_APPEND = f"""INSERT INTO app.release (model, release, action, artifact, contract, period, training_snapshot,
        holdout_snapshot, metrics, gate, code_version, who, why, replaced)
    VALUES (%(model)s, %(release)s, %(action)s, %(artifact)s, %(contract)s, %(period)s, %(training_snapshot)s,
        %(holdout_snapshot)s, %(metrics)s, %(gate)s, %(code_version)s, %(who)s, %(why)s, %(replaced)s)
    RETURNING {COLUMNS}"""
_POINT = """INSERT INTO app.current_release (model, entry, release, artifact, contract)
    VALUES (%(model)s, %(entry)s, %(release)s, %(artifact)s, %(contract)s)
    ON CONFLICT (model) DO UPDATE SET entry = excluded.entry, release = excluded.release,
        artifact = excluded.artifact, contract = excluded.contract"""

log = logging.getLogger("penstock.releases")


class ReleaseError(PenstockError):
    """A release, rollback or ledger question that cannot be met."""


@dataclass(frozen=True)
class Proposal:
    """What is to become current: a candidate's artifact and all that it was made from."""

    model: str
    artifact: str
    contract: str
    period: str
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
    """The ledger entry that the model's pointer names, None before the first release."""
    with book.connect() as connection:
        return _current(connection, model)


def current_entries(book: Book) -> list[LedgerEntry]:
    """The ledger entries that the pointers of all models name, in name order."""
    query = ENTRIES + " WHERE entry IN (SELECT entry FROM app.current_release) ORDER BY model"
    with book.connect() as connection:
        return [LedgerEntry.of(row) for row in connection.execute(query)]


def current_releases(book: Book) -> dict[str, CurrentRelease]:
    """The book's current releases, by model in name order."""
    with book.connect() as connection:
        rows = connection.execute(CURRENT_RELEASES + " ORDER BY model").fetchall()
    return {row[0]: CurrentRelease(*row) for row in rows}


def newest_entry(book: Book, model: str, number: int) -> LedgerEntry | None:
    """The newest ledger entry of a release, None if it never was."""
    with book.connect() as connection:
        return _newest_entry(connection, model, number)


def made_by(book: Book) -> dict[tuple[str, int], tuple[str, str]]:
    """Model and number of each release -> the digest of its contract, and the version of the code that trained it."""
    with book.connect() as connection:
        rows = connection.execute(f"SELECT model, release, {CONTRACT}, code_version FROM app.release").fetchall()
    return {(model, number): (contract, code) for model, number, contract, code in rows}


def fitting_contracts(book: Book) -> dict[str, set[str]]:
    """The contracts of all releases, by each model that has a current one."""
    query = f"""SELECT model, array_agg(DISTINCT {CONTRACT}) FROM app.release
        WHERE model IN (SELECT model FROM app.current_release) GROUP BY model"""
    with book.connect() as connection:
        return {model: set(contracts) for model, contracts in connection.execute(query)}


def ledger(book: Book, model: str, *, limit: int = 100) -> list[LedgerEntry]:
    """The newest entries of a model, newest first."""
    query = ENTRIES + " WHERE model = %s ORDER BY entry DESC LIMIT %s"
    with book.connect() as connection:
        return [LedgerEntry.of(row) for row in connection.execute(query, (model, limit))]


def release(
    book: Book,
    proposal: Proposal,
    judge: Callable[[LedgerEntry | None], Verdict],
    *,
    who: str,
    why: str,
    number: int | None = None,
) -> LedgerEntry:
    """Make the proposal current, if `judge` lets it through, in the transaction that moves the pointer.

    - `judge` gets the current release, which nobody can move meanwhile, and raises to refuse.
    - `number` is given where another book has numbered the artifact already; else an artifact keeps its number, or
      gets the next one.
    - What is current already stays current, without a new entry.
    """
    with book.connect() as connection:
        _lock(connection, proposal.model)
        before = _current(connection, proposal.model)
        if before is not None and before.artifact == proposal.artifact:
            return before
        verdict = judge(before)
        return _move(
            connection,
            asdict(proposal)
            | {
                "release": _number(connection, proposal) if number is None else number,
                "action": verdict.action,
                "gate": verdict.gate,
                "who": who,
                "why": why,
                "replaced": before.release if before else None,
            },
        )


def rollback(book: Book, model: str, *, who: str, why: str, to: int | None = None) -> LedgerEntry:
    """Make an earlier release current again: `to`, or what the current one replaced when it was released."""
    with book.connect() as connection:
        _lock(connection, model)
        before, target = _way_back(connection, book, model, to)
        if target.artifact == before.artifact:
            return before
        return _move(
            connection,
            asdict(target)
            | {
                "gate": {"rollback_from": before.release},
                "action": "rollback",
                "who": who,
                "why": why,
                "replaced": before.release,
            },
        )


def rollback_target(book: Book, model: str, *, to: int | None = None) -> LedgerEntry:
    """The entry of the release that `rollback` would make current now; ReleaseError where it would refuse."""
    with book.connect() as connection:
        return _way_back(connection, book, model, to)[1]


def _way_back(
    connection: psycopg.Connection, book: Book, model: str, to: int | None
) -> tuple[LedgerEntry, LedgerEntry]:
    """The current entry, and the one to go back to."""
    before = _current(connection, model)
    if before is None:
        raise ReleaseError(f"model {model!r} in {book.name}", expected="a current release", found="none")
    wanted = to if to is not None else _predecessor(connection, before)
    if wanted is None:
        raise ReleaseError(
            f"rollback of {model!r} in {book.name}",
            expected="a release before the current one",
            found=f"release {before.release} is the first",
        )
    target = _newest_entry(connection, model, wanted)
    if target is None:
        raise ReleaseError(
            f"rollback of {model!r} in {book.name}",
            expected="a release of the ledger",
            found=str(wanted),
            todo=f"`penstock releases {model}` lists them.",
        )
    return before, target


def _move(connection: psycopg.Connection, values: Mapping[str, Any]) -> LedgerEntry:
    """Append to the ledger, move the pointer to the new entry, and tell the replicas."""
    as_json = {name: Jsonb(values[name], dumps=msgspec.json.encode) for name in ("metrics", "gate")}
    entry = LedgerEntry.of(*connection.execute(_APPEND, {**values, **as_json}))
    connection.execute(_POINT, asdict(entry))
    connection.execute("SELECT pg_notify('penstock', %s)", (f"release {entry.model} {entry.release}",))
    return entry


def _current(connection: psycopg.Connection, model: str) -> LedgerEntry | None:
    query = ENTRIES + " WHERE entry = (SELECT entry FROM app.current_release WHERE model = %s)"
    row = connection.execute(query, (model,)).fetchone()
    return LedgerEntry.of(row) if row else None


def _predecessor(connection: psycopg.Connection, entry: LedgerEntry) -> int | None:
    """What the release replaced when it was released; a rollback to it does not count as that."""
    query = "SELECT replaced FROM app.release WHERE model = %s AND release = %s AND action <> 'rollback'"
    row = connection.execute(query + _NEWEST, (entry.model, entry.release)).fetchone()
    return row[0] if row else None


def _newest_entry(connection: psycopg.Connection, model: str, number: int) -> LedgerEntry | None:
    row = connection.execute(ENTRIES + " WHERE model = %s AND release = %s" + _NEWEST, (model, number)).fetchone()
    return LedgerEntry.of(row) if row else None


def _number(connection: psycopg.Connection, proposal: Proposal) -> int:
    """The number that the artifact has already, else the next one."""
    query = """SELECT coalesce(
        (SELECT release FROM app.release WHERE model = %(model)s AND artifact = %(artifact)s ORDER BY entry LIMIT 1),
        (SELECT max(release) + 1 FROM app.release WHERE model = %(model)s), 1)"""
    values = {"model": proposal.model, "artifact": proposal.artifact}
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row else 1


def _lock(connection: psycopg.Connection, model: str) -> None:
    """Held to the transaction's end: one mover at a time per model. ReleaseError if another one does not end."""
    key = f"penstock.release.{model}"
    row = connection.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row == (True,):
        return
    log.warning("Another command moves the release of %s; waiting for it.", model)
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{PATIENCE_SECONDS}s",))
    try:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
    except psycopg.errors.LockNotAvailable:
        raise ReleaseError(
            f"release of {model}",
            expected=f"the other command that moves it to end within {PATIENCE_SECONDS} s",
            found="it still runs",
            todo="Look at the other run; nothing was changed.",
        ) from None
    connection.execute("SET LOCAL lock_timeout = 0")
