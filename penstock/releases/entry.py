"""The rows of the release ledger and of its pointer, each with the one query that reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

if TYPE_CHECKING:
    import psycopg  # a replica reads entries through asyncpg

Action = Literal["release", "rollback", "override"]

CONTRACT = "coalesce((SELECT f.digest FROM app.former_contract f WHERE f.former = contract), contract)"
"""The digest of a row's contract, by the present rule where a former one recorded it and it was adopted."""
COLUMNS = f"""entry, model, release, action, artifact, {CONTRACT}, period, training_snapshot, holdout_snapshot,
    metrics::text, gate::text, code_version, who, why, replaced, at"""
ENTRIES = f"SELECT {COLUMNS} FROM app.release"
FITTING_RELEASES = f"""SELECT model, entry, release, artifact, {CONTRACT} FROM app.release
    WHERE model = $1 AND {CONTRACT} = ANY($2::text[]) ORDER BY entry DESC LIMIT $3"""
CURRENT_RELEASES = f"SELECT model, entry, release, artifact, {CONTRACT} FROM app.current_release"


@dataclass(frozen=True)
class LedgerEntry:
    """One row of `app.release`: `release` became current, instead of `replaced`."""

    entry: int
    model: str
    release: int
    action: Action
    artifact: str
    contract: str
    period: str
    training_snapshot: str
    holdout_snapshot: str
    metrics: Mapping[str, Any]
    gate: Mapping[str, Any]
    code_version: str
    who: str
    why: str
    replaced: int | None
    at: datetime

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """The entry that has these COLUMNS: JSON comes as text."""
        values = dict(zip((field.name for field in fields(cls)), row, strict=True))
        decoded = {name: msgspec.json.decode(values[name]) for name in ("metrics", "gate")}
        return cls(**values | decoded)


@dataclass(frozen=True)
class CurrentRelease:
    """One row of `app.current_release`: the release of a model that a book serves, and the ledger entry of it."""

    model: str
    entry: int
    release: int
    artifact: str
    contract: str


async def read_current_releases(connection: Any) -> list[CurrentRelease]:
    """The current releases of the book that an asyncpg connection is connected to."""
    return [CurrentRelease(*record) for record in await connection.fetch(CURRENT_RELEASES)]


async def read_entry(connection: Any, model: str, entry: int) -> LedgerEntry | None:
    """One entry of a model's ledger, through an asyncpg connection; None if there is none of that number."""
    record = await connection.fetchrow(ENTRIES + " WHERE model = $1 AND entry = $2", model, entry)
    return LedgerEntry.of(record) if record else None


async def read_fitting_releases(
    connection: Any, model: str, contracts: Sequence[str], count: int
) -> list[CurrentRelease]:
    """The newest entries of a contract, by any of its digests, newest first, through an asyncpg connection: its code
    can serve them."""
    records = await connection.fetch(FITTING_RELEASES, model, list(contracts), count)
    return [CurrentRelease(*record) for record in records]


async def read_newest_entries(connection: Any, model: str, count: int) -> list[LedgerEntry]:
    """The newest entries of a model's ledger, newest first, through an asyncpg connection."""
    records = await connection.fetch(ENTRIES + " WHERE model = $1 ORDER BY entry DESC LIMIT $2", model, count)
    return [LedgerEntry.of(record) for record in records]


def released_from(connection: "psycopg.Connection") -> set[str]:
    """The ids of the snapshots that the releases of a book were trained or judged on."""
    rows = connection.execute("SELECT training_snapshot, holdout_snapshot FROM app.release").fetchall()
    return {snapshot for row in rows for snapshot in row}


def artifacts_in_reach(connection: "psycopg.Connection", previous: int, within: timedelta) -> set[str]:
    """The artifacts of each model's current release, of the `previous` releases before it, and of all that were
    current within that time."""
    rows = connection.execute(
        """WITH reign AS (
               SELECT artifact, lead(at) OVER (PARTITION BY model ORDER BY entry) AS until FROM app.release),
           released AS (
               SELECT artifact, row_number() OVER (PARTITION BY model ORDER BY max(entry) DESC) AS place
               FROM app.release GROUP BY model, artifact)
           SELECT artifact FROM app.current_release
           UNION SELECT artifact FROM released WHERE place <= %(previous)s + 1
           UNION SELECT artifact FROM reign WHERE coalesce(until, now()) > now() - %(within)s""",
        {"previous": previous, "within": within},
    ).fetchall()
    return {artifact for (artifact,) in rows}
