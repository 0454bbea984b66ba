"""Writing to the journal: the statements of a batch of answers, the values they bind, and how far writing is behind."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from penstock.contract.contract import Columns, Contract
from penstock.digests import digests

JOINT = b"\x1f"
"""Separates the texts of a batch, which are bound as one value."""

# $1 to $4 are of the whole batch. Each of the others holds one value of all answers, joined: to encode an array takes
# longer, in Python and per value, than to split one value takes in Postgres. JSON and request ids hold no JOINT.
_NEW = """new AS MATERIALIZED (
    SELECT n, id, substring($6::bytea FROM (n * 64 - 63)::int FOR 16) AS entity,
           substring($6 FROM (n * 64 - 47)::int FOR 16) AS input, substring($6 FROM (n * 64 - 31)::int FOR 16) AS rows,
           substring($6 FROM (n * 64 - 15)::int FOR 16) AS features,
           asked_at, request, looked_up, prediction, request_id{also}
    FROM unnest(string_to_array($5::text, ',')::uuid[], string_to_array($7::text, ',')::timestamptz[],
                string_to_array(convert_from($8::bytea, 'UTF8'), chr(31)),
                string_to_array(convert_from($9::bytea, 'UTF8'), chr(31)),
                string_to_array(convert_from($10::bytea, 'UTF8'), chr(31)),
                string_to_array($11::text, chr(31)){more})
        WITH ORDINALITY AS a(id, asked_at, request, looked_up, prediction, request_id{also}, n)
)"""
# Rows are taken in the order of their entity, so that two replicas never wait for each other.
_COUNTS = """counts AS (
    INSERT INTO app.latest_answer AS stored (model, entity, id, replaced, input, looked_up, release, origin, prediction)
    SELECT $1, entity, id, {seen}, input, rows, $2, $3, prediction FROM new WHERE {where} ORDER BY entity
    ON CONFLICT (model, entity) DO UPDATE SET
        id = excluded.id, replaced = stored.id, input = excluded.input, looked_up = excluded.looked_up,
        release = excluded.release, origin = excluded.origin, prediction = excluded.prediction
    WHERE {counts}
    RETURNING entity
)"""
_JOURNALED = """journaled AS (
    INSERT INTO app.prediction (id, model, entity, asked_at, answered_at, request, looked_up, features, prediction,
                                origin, request_id)
    SELECT id, $1, entity, asked_at, $4, request, looked_up, features, prediction, $3, request_id
    FROM new WHERE {which}
)"""
# As a truth value and not as a condition, so that it is answered by hashing and never planned as a join. Where all
# count, as nearly always, none is looked for.
_COUNTING = "((SELECT count(*) FROM counts) = length($6) / 64 OR new.entity IN (SELECT entity FROM counts)) IS"
_SAME = {
    "exact": "stored.input = {0}.input AND stored.release = {1} AND stored.looked_up = {0}.{2}",
    "input": "stored.input = {0}.input",
}
_REGISTER = """
WITH made AS (
    INSERT INTO app.origin (digest, model, release, artifact, snapshots) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (digest) DO NOTHING RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM app.origin WHERE digest = $1
"""


class Origin(msgspec.Struct, frozen=True):
    """What answers are made from. `snapshots` is the JSON of table to snapshot id."""

    model: str
    release: int
    artifact: str
    snapshots: str


class NewEntries(NamedTuple):
    """n answers to be journaled. Requests, looked-up rows and predictions are JSON."""

    ids: Sequence[str]
    digests: tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes], Sequence[bytes]]
    """Of the entities, the inputs, the looked-up rows and the features, 16 bytes each."""
    asked_at: Sequence[datetime]
    requests: Sequence[bytes]
    looked_up: Sequence[bytes]
    predictions: Sequence[bytes]
    request_ids: Sequence[str]

    def joined(self) -> tuple[str, bytes, str, bytes, bytes, bytes, str]:
        """The values of $5 to $11 of the statements."""
        return (
            ",".join(self.ids),
            b"".join(chain.from_iterable(zip(*self.digests, strict=True))),
            ",".join(_texts(self.asked_at)),
            JOINT.join(self.requests),
            JOINT.join(self.looked_up),
            JOINT.join(self.predictions),
            JOINT.decode().join(self.request_ids),
        )


class JournalLag:
    """How far the journal of one model in one replica is behind: writes in progress, and totals of those committed."""

    def __init__(self) -> None:
        self.writes = 0
        self.seconds = 0.0
        self._in_progress: dict[float, int] = {}

    @contextmanager
    def writing(self, rows: int) -> Iterator[None]:
        """Surrounds one write of `rows` answers that were just made, until Postgres has committed them, or fails."""
        began = time.monotonic()
        while began in self._in_progress:
            began += 1e-9
        self._in_progress[began] = rows
        try:
            yield
            self.writes += 1
            self.seconds += time.monotonic() - began
        finally:
            del self._in_progress[began]

    @property
    def rows_waiting(self) -> int:
        """Answers that are made and not yet committed."""
        return sum(self._in_progress.values())

    @property
    def lag(self) -> float:
        """Seconds since the oldest of the waiting answers was made; 0 if none waits."""
        return time.monotonic() - min(self._in_progress) if self._in_progress else 0.0


def write_after_lookup(*, relaxed: bool) -> str:
    """The statement that journals answers made after reading the stored ones; returns the entities whose answers count.

    - An answer counts only if the stored answer about its entity is still the one that was read ($12).
    - $13 marks the one answer per entity that becomes the stored one.
    - Relaxed journals every answer, because it has been sent already.
    """
    parts = (
        _NEW.format(more=", $12::uuid[], $13::bool[]", also=", seen, last"),
        _COUNTS.format(seen="seen", where="last", counts="stored.id = excluded.replaced"),
        _JOURNALED.format(which="true" if relaxed else f"{_COUNTING} TRUE"),
    )
    return f"WITH {', '.join(parts)}\nSELECT entity FROM counts"


def write_at_once(unmoved: str, policy: Literal["exact", "input"]) -> str:
    """The statement that journals answers made without reading the stored ones; at most one answer per entity.

    - Journals nothing if a pointer has moved (`unmoved` is the SQL condition that none has).
    - Returns the answers that do not count: their place from 1, `unmoved`, and for an unchanged request the stored
      answer as `id, prediction, release, snapshots`; nulls if another replica has just answered the same.
    """
    same = _SAME[policy]
    parts = (
        _NEW.format(more="", also=""),
        _COUNTS.format(
            seen="NULL::uuid",
            where=unmoved,
            counts=f"NOT ({same.format('excluded', 'excluded.release', 'looked_up')})",
        ),
        _JOURNALED.format(which=f"{_COUNTING} TRUE"),
    )
    return (
        f"WITH {', '.join(parts)}\n"
        f"SELECT new.n, {unmoved}, stored.id::text, stored.prediction, o.release, o.snapshots FROM new\n"
        f"LEFT JOIN app.latest_answer stored ON stored.model = $1 AND stored.entity = new.entity\n"
        f"    AND {same.format('new', '$2', 'rows')}\n"
        f"LEFT JOIN app.origin o ON o.id = stored.origin\n"
        f"WHERE {_COUNTING} NOT TRUE"
    )


async def register(connection: Any, origin: Origin) -> int:
    """The number of an origin, by which its answers name it; a new one is stored first."""
    values = (origin.model, origin.release, origin.artifact, origin.snapshots)
    [digest] = digests([msgspec.json.encode(values)])
    while (number := await connection.fetchval(_REGISTER, digest, *values)) is None:
        pass  # another replica registers it at this moment
    return int(number)


async def write(
    connection: Any, sql: str, origin: Origin, number: int, entries: NewEntries, *more: Sequence[Any]
) -> list[Any]:
    """Run a statement of this module about answers of one origin; returns its records."""
    values = (origin.model, origin.release, number, now(), *entries.joined(), *more)
    records: list[Any] = await connection.fetch(sql, *values)
    return records


def now() -> datetime:
    """When a batch is answered."""
    return datetime.now(UTC)


def feature_digests(contract: Contract, vectors: Columns) -> list[bytes]:
    """A 16-byte digest of the exact bits of each row of feature vectors."""
    numbers = [vectors[feature.name] for feature in contract.features if feature.kind == "number"]
    texts = [vectors[feature.name].tolist() for feature in contract.features if feature.kind == "text"]
    rows = len(next(iter(vectors.values())))
    bits = np.concatenate(numbers, dtype=np.float64).reshape(-1, rows).T.tobytes() if numbers else b""
    words = map(_encode, zip(*texts, strict=True)) if texts else [b"[]"] * rows
    return digests(words, bits)


def _texts(times: Sequence[datetime]) -> list[str]:
    """Times as text in UTC, because Postgres reads no offset of 16 hours or more. Equal neighbours share one text."""
    texts: list[str] = []
    before = None
    for at in times:
        if at != before:
            before, text = at, at.astimezone(UTC).isoformat()
        texts.append(text)
    return texts


_encode = msgspec.json.Encoder().encode
