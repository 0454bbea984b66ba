"""The journal at serving time: what a batch of answers writes, and reading answers back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np

from penstock.contract.contract import Columns, Contract
from penstock.digests import digests
from penstock.journal.answers import Form
from penstock.journal.sql import JOINT, READ, REGISTER

KEEP_DAYS = 400


class Origin(msgspec.Struct, frozen=True):
    """What answers are made from. `snapshots` is the JSON of table to snapshot id."""

    model: str
    release: int
    artifact: str
    snapshots: str


class Entries(NamedTuple):
    """n answers to be journaled. Requests, looked-up rows and outcomes are JSON."""

    ids: Sequence[str]
    digests: tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes], Sequence[bytes]]
    """Of the entities, the inputs, the looked-up rows and the features, 16 bytes each."""
    asked_at: Sequence[datetime]
    requests: Sequence[bytes]
    looked_up: Sequence[bytes]
    outcomes: Sequence[bytes]
    request_ids: Sequence[str]

    def joined(self) -> tuple[str, bytes, str, bytes, bytes, bytes, str]:
        """The values that the statements of `journal_sql` take."""
        return (
            ",".join(self.ids),
            b"".join(chain.from_iterable(zip(*self.digests, strict=True))),
            ",".join(_texts(self.asked_at)),
            JOINT.join(self.requests),
            JOINT.join(self.looked_up),
            JOINT.join(self.outcomes),
            JOINT.decode().join(self.request_ids),
        )


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
    snapshots: msgspec.Raw
    request_id: str


async def register(connection: Any, origin: Origin) -> int:
    """The number of an origin, which its answers name; it is given one if it has none."""
    values = (origin.model, origin.release, origin.artifact, origin.snapshots)
    [digest] = digests([msgspec.json.encode(values)])
    while (number := await connection.fetchval(REGISTER, digest, *values)) is None:
        pass  # another replica registers it at this moment
    return int(number)


async def write(
    connection: Any, sql: str, origin: Origin, number: int, entries: Entries, *more: Sequence[Any]
) -> list[Any]:
    """Run a writing statement of `journal_sql` about answers of one origin, and give its records."""
    values = (origin.model, origin.release, number, now(), *entries.joined(), *more)
    records: list[Any] = await connection.fetch(sql, *values)
    return records


def now() -> datetime:
    """When a batch is answered."""
    return datetime.now(UTC)


async def read(connection: Any, model: str, prediction: str) -> Journaled | None:
    """One journaled prediction of a model by its id, None where there is none."""
    record = await connection.fetchrow(f"{READ} WHERE p.id = $1 AND p.model = $2", prediction, model)
    return journaled(record) if record else None


async def recent(connection: Any, model: str, count: int) -> list[Journaled]:
    """The newest journaled predictions of a model, newest first."""
    records = await connection.fetch(f"{READ} WHERE p.model = $1 ORDER BY p.id DESC LIMIT $2", model, count)
    return [journaled(record) for record in records]


def journaled(record: Any) -> Journaled:
    """A record of READ as a Journaled."""
    id_, model, asked_at, answered_at, request, looked_up, features, outcome, *origin, request_id = record
    release, artifact, snapshots = origin
    [answer] = Form(release, snapshots.encode()).new([id_], [outcome.encode()])
    return Journaled(
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


def feature_digests(contract: Contract, vectors: Columns) -> list[bytes]:
    """A 16-byte digest of the exact bits of each row of feature vectors."""
    numbers = [vectors[feature.name] for feature in contract.features if feature.kind == "number"]
    texts = [vectors[feature.name].tolist() for feature in contract.features if feature.kind == "text"]
    rows = len(next(iter(vectors.values())))
    bits = np.concatenate(numbers, dtype=np.float64).reshape(-1, rows).T.tobytes() if numbers else b""
    words = map(_encode, zip(*texts, strict=True)) if texts else [b"[]"] * rows
    return digests(words, bits)


def _texts(times: Sequence[datetime]) -> list[str]:
    """Instants in UTC, because Postgres reads no offset of 16 hours or more. Most arrays are asked at one instant."""
    texts: list[str] = []
    before = None
    for at in times:
        if at != before:
            before, text = at, at.astimezone(UTC).isoformat()
        texts.append(text)
    return texts


_encode = msgspec.json.Encoder().encode
