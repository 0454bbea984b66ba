"""Reading journaled predictions back."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.journal.answers import AnswerForm

if TYPE_CHECKING:
    import psycopg  # a replica reads entries through asyncpg

KEEP_DAYS = 400
FEW_DAYS = 7
"""With fewer days ahead than this, nobody has kept up the journal for weeks."""
DAYS_AHEAD = """SELECT coalesce(max(to_date(substr(c.relname, 12), 'YYYYMMDD')) - (now() AT TIME ZONE 'UTC')::date, -1)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'app.prediction'::regclass"""
"""For how many days after today the journal has partitions; -1 where not even for today."""
READ = """
SELECT p.id::text, p.model, asked_at, answered_at, request, looked_up, features, prediction, o.release, o.artifact,
       o.snapshots, request_id
FROM app.prediction p JOIN app.origin o ON o.id = p.origin
"""


class JournalEntry(msgspec.Struct, frozen=True):
    """One prediction as the journal keeps it. `looked_up` holds the row of each lookup, null if none was found."""

    id: str
    model: str
    asked_at: datetime
    answered_at: datetime
    request: msgspec.Raw
    looked_up: msgspec.Raw
    features: str
    answer: msgspec.Raw
    release: int
    artifact: str
    snapshots: msgspec.Raw
    request_id: str


async def read(connection: Any, model: str, prediction: str) -> JournalEntry | None:
    """The entry of one prediction of a model by its id, None if there is none."""
    record = await connection.fetchrow(f"{READ} WHERE p.id = $1 AND p.model = $2", prediction, model)
    return journal_entry(record) if record else None


async def read_several(connection: Any, model: str, predictions: list[str]) -> list[JournalEntry]:
    """The entries of a model's predictions by their ids; those that are not journaled are left out."""
    records = await connection.fetch(f"{READ} WHERE p.id = ANY($1::uuid[]) AND p.model = $2", predictions, model)
    return [journal_entry(record) for record in records]


async def recent(connection: Any, model: str, count: int) -> list[JournalEntry]:
    """The newest entries of a model, newest first."""
    records = await connection.fetch(f"{READ} WHERE p.model = $1 ORDER BY p.id DESC LIMIT $2", model, count)
    return [journal_entry(record) for record in records]


def journal_entry(record: Any) -> JournalEntry:
    """A record of READ as a JournalEntry."""
    id_, model, asked_at, answered_at, request, looked_up, features, prediction, *origin, request_id = record
    release, artifact, snapshots = origin
    [answer] = AnswerForm(release, snapshots.encode()).new([id_], [prediction.encode()])
    return JournalEntry(
        id_,
        model,
        asked_at,
        answered_at,
        msgspec.Raw(request),
        msgspec.Raw(looked_up),
        bytes(features).hex(),
        msgspec.Raw(answer),
        release,
        artifact,
        msgspec.Raw(snapshots),
        request_id,
    )


def looked_up_in(connection: "psycopg.Connection", within: timedelta, late: timedelta) -> set[str]:
    """The ids of the snapshots that predictions of the last `within` may have looked up: those that were current, or
    had been up to `late` before, when at least one was journaled.

    One probe of the journal's key per publication, however long the journal.
    """
    rows = connection.execute(
        """WITH reign AS (
               SELECT snapshot, at AS since, lead(at) OVER (PARTITION BY table_name ORDER BY entry) AS until
               FROM replicated.publication)
           SELECT DISTINCT reign.snapshot
           FROM reign CROSS JOIN LATERAL (
               SELECT FROM app.prediction p
               WHERE p.id >= app.first_id(greatest(reign.since, now() - %(within)s))
                 AND p.id < app.first_id(coalesce(reign.until, now()) + %(late)s) LIMIT 1) AS made
           WHERE coalesce(reign.until, now()) + %(late)s > now() - %(within)s""",
        {"within": within, "late": late},
    ).fetchall()
    return {snapshot for (snapshot,) in rows}
