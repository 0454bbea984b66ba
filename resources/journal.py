"""The journal at serving time: new ids, the one statement that writes a batch of answers, and reading them back."""

import hashlib
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from model_tools.contract import Columns, Contract

KEEP_DAYS = 400

# $1 to $6 are of the whole batch, the rest arrays. An answer counts only where the stored answer about its entity is
# still the one that was seen; `last` marks the one per entity that becomes the stored one. With $6, relaxed, every
# answer is journaled, since it has been given already. Gives the entities whose answers count.
WRITE = """
WITH new AS MATERIALIZED (
    SELECT * FROM unnest($7::uuid[], $8::bytea[], $9::uuid[], $10::bool[], $11::timestamptz[], $12::json[],
                         $13::json[], $14::bytea[], $15::bytea[], $16::bytea[], $17::json[], $18::text[])
        AS n(id, entity, seen, last, asked_at, request, looked_up, input, rows, features, answer, request_id)
), counts AS (
    INSERT INTO app.latest_answer AS stored (model, entity, id, replaced, input, looked_up, release, answer)
    SELECT $1, entity, id, seen, input, rows, $2, answer FROM new WHERE last ORDER BY entity
    ON CONFLICT (model, entity) DO UPDATE SET
        id = excluded.id, replaced = excluded.replaced, input = excluded.input, looked_up = excluded.looked_up,
        release = excluded.release, answer = excluded.answer
    WHERE stored.id = excluded.replaced
    RETURNING entity
), journaled AS (
    INSERT INTO app.prediction (id, model, entity, asked_at, answered_at, request, looked_up, features, answer,
                                release, artifact, snapshots, request_id)
    SELECT id, $1, entity, asked_at, $4, request, looked_up, features, answer, $2, $3, $5, request_id
    FROM new WHERE $6 OR entity IN (SELECT entity FROM counts)
)
SELECT entity FROM counts
"""

READ = """
SELECT id::text, model, asked_at, answered_at, request::text, looked_up::text, features, answer::text, release,
       artifact, snapshots::text, request_id
FROM app.prediction
"""


class Entry(NamedTuple):
    """One answer to be journaled, in the order of WRITE's arrays."""

    id: str
    entity: bytes
    seen: Any
    last: bool
    asked_at: datetime
    request: str
    looked_up: str
    input: bytes
    rows: bytes
    features: bytes
    answer: str
    request_id: str


class Journaled(msgspec.Struct, frozen=True):
    """One prediction as the journal keeps it; `looked_up` holds the rows of each lookup, null where none was found."""

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
    snapshots: dict[str, str]
    request_id: str


async def write(
    connection: Any,
    entries: Sequence[Entry],
    *,
    model: str,
    release: int,
    artifact: str,
    snapshots: str,
    relaxed: bool = False,
) -> set[bytes]:
    """Journal answers made by one release from one set of snapshots; the entities whose answers count.

    An entity is missing from the result where another replica has answered about it in the meantime: nothing was
    journaled about it, and it has to be looked up again.
    """
    records = await connection.fetch(
        WRITE, model, release, artifact, datetime.now(UTC), snapshots, relaxed, *map(list, zip(*entries, strict=True))
    )
    return {record[0] for record in records}


async def read(connection: Any, model: str, prediction: str) -> Journaled | None:
    """One journaled prediction of a model by its id, None where there is none."""
    record = await connection.fetchrow(f"{READ} WHERE id = $1 AND model = $2", prediction, model)
    return journaled(record) if record else None


async def recent(connection: Any, model: str, count: int) -> list[Journaled]:
    """The newest journaled predictions of a model, newest first."""
    records = await connection.fetch(f"{READ} WHERE model = $1 ORDER BY id DESC LIMIT $2", model, count)
    return [journaled(record) for record in records]


def journaled(record: Any) -> Journaled:
    """A record of READ as a Journaled."""
    values = list(record)
    for place in (4, 5, 7):
        values[place] = msgspec.Raw(values[place])
    values[6] = bytes(values[6]).hex()
    values[10] = msgspec.json.decode(values[10])
    return Journaled(*values)


def feature_digests(contract: Contract, vectors: Columns) -> list[bytes]:
    """A 16-byte digest of the exact bits of each row of feature vectors."""
    numbers = [vectors[feature.name] for feature in contract.features if feature.kind == "number"]
    texts = [vectors[feature.name].tolist() for feature in contract.features if feature.kind == "text"]
    rows = len(next(iter(vectors.values())))
    matrix = np.ascontiguousarray(np.array(numbers, dtype=np.float64).T).reshape(rows, len(numbers))
    words = zip(*texts, strict=True) if texts else [()] * rows
    return [
        hashlib.blake2b(row.tobytes() + msgspec.json.encode(word), digest_size=16).digest()
        for row, word in zip(matrix, words, strict=True)
    ]


class Ids:
    """Maker of version 7 UUIDs, in increasing order within the process."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        """A new id: 48 bits of milliseconds, 12 bits that count within one, 62 random bits."""
        self._last = max(self._last + 1, time.time_ns() // 1_000_000 << 12)
        milliseconds, count = self._last >> 12, self._last & 0xFFF
        random = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
        digits = f"{milliseconds << 80 | 0x7 << 76 | count << 64 | 0x2 << 62 | random:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
