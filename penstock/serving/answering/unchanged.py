"""The rule by which an unchanged question gets its stored answer again, as a pure function."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from penstock.journal.answers import Form
from penstock.serving.answering.decoding import Asked


class Stored(NamedTuple):
    """The stored answer about an entity with what it was made from."""

    id: object
    input: bytes
    rows: bytes
    release: int
    outcome: str
    made_by: int
    snapshots: str

    def answer(self) -> bytes:
        """The JSON in which it is given again."""
        return Form(self.made_by, self.snapshots.encode()).unchanged(str(self.id), self.outcome.encode())


class Plan(NamedTuple):
    """What to do with each of n questions: predict it (`new`), give a stored answer, or repeat another's answer."""

    new: list[int]
    stored: dict[int, Stored]
    repeats: dict[int, int]
    last: set[int]


def plan(
    asked: Asked,
    stored: Sequence[Stored | None],
    rows: Sequence[bytes],
    release: int,
    policy: Literal["exact", "input"],
) -> Plan:
    """Go through the questions in order, comparing each with the newest answer about its entity.

    `stored` are the answers that the book held, `rows` the digests of the looked-up rows. `last` in the plan are
    those of `new` that become their entity's stored answer.
    """
    everything = range(asked.size)
    if not any(stored) and len(set(asked.entities)) == asked.size:
        return Plan(list(everything), {}, {}, set(everything))
    made = Plan([], {}, {}, set())
    newest: dict[bytes, int] = {}
    for index, (entity, input_) in enumerate(zip(asked.entities, asked.inputs, strict=True)):
        before = newest.get(entity)
        if before is not None:
            if asked.inputs[before] == input_ and (policy == "input" or rows[before] == rows[index]):
                made.repeats[index] = before
                continue
            made.last.discard(before)
        else:
            held = stored[index]
            if (
                held is not None
                and held.input == input_
                and (policy == "input" or (held.release == release and held.rows == rows[index]))
            ):
                made.stored[index] = held
                continue
        newest[entity] = index
        made.new.append(index)
        made.last.add(index)
    return made
