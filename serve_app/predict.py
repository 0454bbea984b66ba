"""From waiting requests to journaled answers: one lookup, one predict and one journal write for all of a batch."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from model_tools.columns import request_columns
from model_tools.contract import Contract
from resources import journal
from resources.journal import Entry
from resources.lookup_sql import PREVIOUS, Pointers
from resources.lookups import UNDEFINED_TABLE, Looked, read_pointers
from serve_app.decoding import Asked
from serve_app.lines import Waiting
from serve_app.problems import Fault, refused, unavailable
from serve_app.serving import Serving, again
from serve_app.unchanged import Plan, Stored, plan

MOST_ROUNDS = 50

Question = tuple[Waiting, int]
"""Who waits, and for which of the requests."""


class Found(NamedTuple):
    """What is known about n questions before they are predicted."""

    serving: Serving
    asked: Sequence[Asked]
    stored: Sequence[Stored | None]
    looked: Looked
    digests: Sequence[bytes]


class Predictor:
    """Answers batches for one model. `serving` gives what it is served from; `moved` hears of new pointers."""

    def __init__(self, contract: Contract, serving: Callable[[], Serving], moved: Callable[[Pointers], None]) -> None:
        self._contract = contract
        self._serving = serving
        self._moved = moved
        self._new_id = journal.Ids()
        self._relaxed = contract.journal == "relaxed"

    async def __call__(self, connection: Any, batch: list[Waiting]) -> None:
        """Answer all that wait. Where another replica answers first, look up again, until all are answered."""
        questions = [(waiting, index) for waiting in batch for index in range(len(waiting.asked))]
        for _ in range(MOST_ROUNDS):
            asked = [waiting.asked[index] for waiting, index in questions]
            serving, records = await self._look_up(connection, asked)
            looked = serving.statement.decode(records)
            if self._reject(questions, looked):
                questions = [question for question in questions if not question[0].answers.done()]
            else:
                await self._answer(connection, serving, questions, records, looked)
                questions = [(waiting, index) for waiting, index in questions if not waiting.given[index]]
            if not questions:
                return _give(batch)
        raise unavailable("contended", "Other replicas keep answering about the same entities.")

    async def _look_up(self, connection: Any, asked: Sequence[Asked]) -> tuple[Serving, list[Any]]:
        """What the statement finds, with what is served from; once more where a pointer has moved."""
        requests, entities = [one.request for one in asked], [one.entity for one in asked]
        for _ in range(MOST_ROUNDS):
            serving = self._serving()
            statement = serving.statement
            try:
                records = await connection.fetch(statement.sql, *statement.arguments(requests, entities))
                if records[0][0]:
                    return serving, records
            except Exception as error:
                if getattr(error, "sqlstate", "") != UNDEFINED_TABLE:
                    raise
            self._moved(await read_pointers(connection))
        raise unavailable("moving", "The replicated tables are being published faster than they can be read.")

    def _reject(self, questions: list[Question], looked: Looked) -> bool:
        """Refuse who asks about a row that has to be there and is not; whether there was any."""
        wanted = {lookup.name: lookup for lookup in self._contract.lookups if lookup.missing == "reject"}
        if not wanted or not any(looked.missing):
            return False
        faults: dict[int, list[Fault]] = {}
        for (waiting, index), missing in zip(questions, looked.missing, strict=True):
            for lookup in (wanted[name] for name in missing if name in wanted):
                at = f"$[{index}]" if waiting.many else "$"
                key = {field: getattr(waiting.asked[index].request, field) for field in lookup.key.values()}
                fault = Fault(
                    ", ".join(f"{at}.{field}" for field in key),
                    f"a row in table {lookup.table!r}",
                    f"none for {msgspec.json.encode(key).decode()}",
                )
                faults.setdefault(id(waiting), []).append(fault)
        for waiting, _ in questions:
            if id(waiting) in faults and not waiting.answers.done():
                waiting.answers.set_exception(refused(*faults[id(waiting)]))
        return bool(faults)

    async def _answer(
        self, connection: Any, serving: Serving, questions: list[Question], records: Sequence[Any], looked: Looked
    ) -> None:
        """Fill in what can be answered: all, but for what another replica has answered in the meantime."""
        asked = [waiting.asked[index] for waiting, index in questions]
        stored = [Stored(*record[1 : 1 + len(PREVIOUS)]) if record[1] is not None else None for record in records]
        digests = [hashlib.blake2b(row, digest_size=16).digest() for row in looked.rows]
        found = Found(serving, asked, stored, looked, digests)
        planned = plan(asked, stored, digests, serving.release.version, self._contract.unchanged)
        for position, answer in planned.stored.items():
            waiting, index = questions[position]
            waiting.given[index] = again(answer.encode())
        if not planned.new:
            return
        entries = self._predict(found, planned)

        def give(counts: set[bytes] | None) -> None:
            made = {
                position: entry.answer.encode()
                for position, entry in zip(planned.new, entries, strict=True)
                if counts is None or entry.entity in counts
            }
            made |= {position: again(made[first]) for position, first in planned.repeats.items() if first in made}
            for position, answer in made.items():
                waiting, index = questions[position]
                waiting.given[index] = answer

        if self._relaxed:
            give(None)
            _give([waiting for waiting, _ in questions])
        counts = await journal.write(
            connection,
            entries,
            model=self._contract.model,
            release=serving.release.version,
            artifact=serving.release.digest,
            snapshots=serving.snapshots.decode(),
            relaxed=self._relaxed,
        )
        if not self._relaxed:
            give(counts)

    def _predict(self, found: Found, planned: Plan) -> list[Entry]:
        """The journal entries of the new predictions."""
        serving, asked, stored, looked, digests = found
        new = planned.new
        columns = request_columns(self._contract, [asked[position].request for position in new])
        all_new = len(new) == len(asked)
        columns |= looked.columns if all_new else {name: values[new] for name, values in looked.columns.items()}
        vectors = self._contract.vectors(columns)
        predicted = serving.release.artifact.predict(vectors)
        ids = [self._new_id() for _ in new]
        answers = serving.answers(predicted, ids, [looked.missing[position] for position in new])
        features = journal.feature_digests(self._contract, vectors)
        entries = []
        for position, id_, answer, digest in zip(new, ids, answers, features, strict=True):
            one, before = asked[position], stored[position]
            entries.append(
                Entry(
                    id_,
                    one.entity,
                    before.id if before else None,
                    position in planned.last,
                    one.asked_at,
                    msgspec.json.encode(one.request).decode(),
                    looked.rows[position].decode(),
                    one.input,
                    digests[position],
                    digest,
                    answer.decode(),
                    one.request_id,
                )
            )
        return entries


def _give(batch: Sequence[Waiting]) -> None:
    """Hand the answers to who waits for them."""
    for waiting in batch:
        if not waiting.answers.done():
            waiting.answers.set_result(waiting.given)
