"""What to do with each request of a batch, as pure functions: refuse it, repeat an answer, or predict."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from penstock.contract.contract import Contract, Lookup
from penstock.journal.answers import AnswerForm
from penstock.lookups.statement import LookupResult
from penstock.serving.answering.decoding import Requests


class StoredAnswer(NamedTuple):
    """The newest stored answer about an entity, and what it was made from."""

    id: object
    input: bytes
    rows: bytes
    release: int
    prediction: str
    made_by: int
    snapshots: str

    def json(self) -> bytes:
        """The answer as it is sent again."""
        return AnswerForm(self.made_by, self.snapshots.encode()).unchanged(str(self.id), self.prediction.encode())


class Plan(NamedTuple):
    """What to do with each of n requests, by place.

    - `new`: predict it.
    - `stored`: send the stored answer.
    - `repeats`: send the answer of another request of the batch.
    - `last`: those of `new` whose answer becomes the stored answer of its entity.
    """

    new: list[int]
    stored: dict[int, StoredAnswer]
    repeats: dict[int, int]
    last: set[int]


def plan(
    requests: Requests,
    stored: Sequence[StoredAnswer | None],
    rows: Sequence[bytes],
    release: int,
    policy: Literal["exact", "input"],
) -> Plan:
    """Compare each request, in order, with the newest answer about its entity.

    `stored` are the answers that the book holds, `rows` the digests of the looked-up rows.
    """
    everything = range(requests.size)
    if not any(stored) and len(set(requests.entities)) == requests.size:
        return Plan(list(everything), {}, {}, set(everything))
    made = Plan([], {}, {}, set())
    newest: dict[bytes, int] = {}
    for place, (entity, input_) in enumerate(zip(requests.entities, requests.inputs, strict=True)):
        before = newest.get(entity)
        if before is not None:
            if requests.inputs[before] == input_ and (policy == "input" or rows[before] == rows[place]):
                made.repeats[place] = before
                continue
            made.last.discard(before)
        else:
            held = stored[place]
            if (
                held is not None
                and held.input == input_
                and (policy == "input" or (held.release == release and held.rows == rows[place]))
            ):
                made.stored[place] = held
                continue
        newest[entity] = place
        made.new.append(place)
        made.last.add(place)
    return made


def without_row(contract: Contract, result: LookupResult) -> Mapping[int, list[Lookup]]:
    """The places of the requests to refuse, each with the lookups that had to find a row and did not."""
    wanted = {lookup.name: lookup for lookup in contract.lookups if lookup.missing == "reject"}
    if not wanted or not any(result.missing):
        return {}
    places = {
        place: [wanted[name] for name in missing if name in wanted] for place, missing in enumerate(result.missing)
    }
    return {place: lookups for place, lookups in places.items() if lookups}
