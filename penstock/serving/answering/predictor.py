"""From waiting requests to journaled answers: one lookup, one predict and one journal write for all of a batch."""

import asyncio
import time
from collections.abc import Callable, Sequence
from operator import eq
from typing import Any, NamedTuple, Self

from penstock.contract.columns import request_columns
from penstock.contract.contract import Contract, Lookup
from penstock.journal import journal
from penstock.journal.answers import Form, Predicted, again
from penstock.journal.journal import Entries
from penstock.lookups.found import Columns, Looked
from penstock.lookups.sql import PREVIOUS
from penstock.lookups.statement import UNDEFINED_TABLE
from penstock.postgres.pointer import Pointers, read_pointers
from penstock.serving.answering.batch import Questions
from penstock.serving.answering.batching import Waiting
from penstock.serving.answering.decoding import Asked
from penstock.serving.answering.ids import Ids
from penstock.serving.answering.journal_lag import JournalLag
from penstock.serving.answering.refusals import refusal, without_row
from penstock.serving.answering.serving import Serving
from penstock.serving.answering.unchanged import Plan, Stored, plan
from penstock.serving.http.problems import unavailable

MOST_ROUNDS = 50
REMEMBERED = 20_000
MANY = 100
"""Rows from which on predicting them is timed."""
LONG_SECONDS = 0.005
"""What the event loop may wait for many. Where that is not enough they go to a thread, which costs more in all."""


class Found(NamedTuple):
    """What is known about n questions before they are predicted."""

    asked: Asked
    columns: Columns
    looked: Looked
    digests: Sequence[bytes]
    planned: Plan

    def of_new(self) -> Self:
        """Those which have to be predicted, with the looked-up columns among theirs."""
        asked, columns, looked, digests, planned = self
        columns = columns | looked.columns
        new = planned.new
        if len(new) != asked.size:
            asked, digests = asked.at(new), [digests[place] for place in new]
            rows, missing = [looked.rows[place] for place in new], [looked.missing[place] for place in new]
            columns = {name: values[new] for name, values in columns.items()}
            looked = Looked({}, rows, missing)
        return self._replace(asked=asked, columns=columns, looked=looked, digests=digests)


class Predictor:
    """Answers batches for one model. `serving` gives what it is served from; `moved` hears of new pointers.

    There are two ways to the same answers. At once: look up in memory, predict, and let one statement journal what is
    new and give the stored answer where it is not. Seen: first look up in Postgres, with the stored answers. The first
    costs one round trip; the second is for tables that are not in memory, for questions that were just asked (an
    unchanged one is then not predicted), and for several different questions about one entity.
    """

    def __init__(self, contract: Contract, serving: Callable[[], Serving], moved: Callable[[Pointers], None]) -> None:
        self._contract = contract
        self._serving = serving
        self._moved = moved
        self.lag = JournalLag()
        self.new_ids = Ids()
        self._relaxed = contract.journal == "relaxed"
        self._inputs: dict[bytes, bytes] = {}
        self._row_seconds = 0.0  # of CPU, as the last prediction of many took

    async def __call__(self, connection: Any, batch: list[Waiting]) -> None:
        """Answer all that wait. Where another replica answers first, look again, until all are answered."""
        questions = Questions(batch)
        for _ in range(MOST_ROUNDS):
            serving = self._serving()
            found = self._in_memory(serving, questions.left)
            if found is None:
                await self._seen(connection, questions)
            else:
                await self._at_once(connection, serving, questions, found)
            if not questions.go_on():
                return questions.give()
        raise unavailable("contended", "Other replicas keep answering about the same entities.")

    def _in_memory(self, serving: Serving, asked: Asked) -> Found | None:
        """What is known without asking Postgres, where that is enough to go on."""
        if not serving.in_memory or self._relaxed or any(map(eq, map(self._inputs.get, asked.entities), asked.inputs)):
            return None
        columns = request_columns(self._contract, asked.requests)
        looked = serving.look_up(asked.requests, columns)
        digests = looked.digests()
        planned = plan(asked, [None] * asked.size, digests, serving.release.version, self._contract.unchanged)
        if len(planned.new) != len(planned.last) or without_row(self._contract, looked):
            return None
        return Found(asked, columns, looked, digests, planned)

    async def _at_once(self, connection: Any, serving: Serving, questions: Questions, found: Found) -> None:
        """Predict and journal in one statement, which also says where a stored answer holds, or all was outdated."""
        entries, outcomes = await self._predict(serving, found)
        number = await serving.number(connection)
        with self.lag.writing(len(entries.ids)):
            records = await journal.write(connection, serving.write_at_once, serving.origin, number, entries)
        if records and not records[0][1]:
            self._moved(await read_pointers(connection))
            return
        new = found.planned.new
        given = dict(zip(new, serving.form.new(entries.ids, outcomes), strict=True))
        for place, _, id_, outcome, release, snapshots in records:
            if id_ is None:  # another replica has just answered the same
                del given[new[place - 1]]
            else:
                given[new[place - 1]] = Form(release, snapshots.encode()).unchanged(id_, outcome.encode())
        self._give(questions, found.planned, given)

    async def _seen(self, connection: Any, questions: Questions) -> None:
        """Look up with the stored answers, then predict and journal what is new."""
        asked = questions.left
        serving, records = await self._look_up(connection, asked)
        columns = request_columns(self._contract, asked.requests)
        looked = serving.statement.decode(records, serving.known(asked.requests, columns))
        if self._refuse(questions, looked):
            return
        stored = [Stored(*record[1 : 1 + len(PREVIOUS)]) if record[1] is not None else None for record in records]
        digests = looked.digests()
        planned = plan(asked, stored, digests, serving.release.version, self._contract.unchanged)
        self._give(questions, planned, {position: one.answer() for position, one in planned.stored.items()})
        if not planned.new:
            return
        entries, outcomes = await self._predict(serving, Found(asked, columns, looked, digests, planned))
        given = dict(zip(planned.new, serving.form.new(entries.ids, outcomes), strict=True))
        if self._relaxed:
            self._give(questions, planned, given)
            questions.give()
        before = [one.id if one else None for one in (stored[position] for position in planned.new)]
        last = [position in planned.last for position in planned.new]
        number = await serving.number(connection)
        with self.lag.writing(len(entries.ids)):
            counts = await journal.write(connection, serving.write_seen, serving.origin, number, entries, before, last)
        if not self._relaxed:
            entities = {record[0] for record in counts}
            counting = {position: answer for position, answer in given.items() if asked.entities[position] in entities}
            self._give(questions, planned, counting)

    async def _look_up(self, connection: Any, asked: Asked) -> tuple[Serving, list[Any]]:
        """What the statement finds, with what is served from; once more where a pointer has moved."""
        for _ in range(MOST_ROUNDS):
            serving = self._serving()
            statement = serving.statement
            try:
                records = await connection.fetch(statement.sql, *statement.arguments(asked.requests, asked.entities))
                if records[0][0]:
                    return serving, records
            except Exception as error:
                if getattr(error, "sqlstate", "") != UNDEFINED_TABLE:
                    raise
            self._moved(await read_pointers(connection))
        raise unavailable("moving", "The replicated tables are being published faster than they can be read.")

    def _refuse(self, questions: Questions, looked: Looked) -> bool:
        """Refuse who asks about a row that has to be there and is not; whether there was any."""
        refused: dict[int, tuple[Waiting, list[tuple[str, Any, list[Lookup]]]]] = {}
        for position, lookups in without_row(self._contract, looked).items():
            waiting, index = questions.asked_by(position)
            at = f"$[{waiting.first + index}]" if waiting.many else "$"
            refused.setdefault(id(waiting), (waiting, []))[1].append((at, waiting.asked.requests[index], lookups))
        for waiting, asked in refused.values():
            if not waiting.answers.done():
                waiting.answers.set_exception(refusal(asked))
        return bool(refused)

    async def _predict(self, serving: Serving, found: Found) -> tuple[Entries, list[bytes]]:
        """The journal entries of the new predictions, and their outcomes; long ones are made beside the event loop."""
        found = found.of_new()
        vectors = self._contract.vectors(found.columns)
        predict, rows = serving.release.artifact.predict, found.asked.size
        if rows < MANY:
            return self.entries(serving, found, vectors, predict(vectors))
        if rows * self._row_seconds < LONG_SECONDS:
            predicted, seconds = _timed(predict, vectors)
        else:
            predicted, seconds = await asyncio.to_thread(_timed, predict, vectors)
        self._row_seconds = seconds / rows
        return self.entries(serving, found, vectors, predicted)

    def entries(
        self, serving: Serving, found: Found, vectors: Columns, predicted: Predicted
    ) -> tuple[Entries, list[bytes]]:
        """The journal entries of n predictions, and their outcomes."""
        asked, _, looked, digests, _ = found
        outcomes = serving.outcomes(predicted, looked.missing)
        features = journal.feature_digests(self._contract, vectors)
        entries = Entries(
            ids=self.new_ids(asked.size),
            digests=(asked.entities, asked.inputs, digests, features),
            asked_at=asked.asked_at,
            requests=asked.texts,
            looked_up=looked.rows,
            outcomes=outcomes,
            request_ids=asked.request_ids,
        )
        return entries, outcomes

    def _give(self, questions: Questions, planned: Plan, given: dict[int, bytes]) -> None:
        """Fill in answers by position, and those that repeat them."""
        given |= {position: again(given[first]) for position, first in planned.repeats.items() if first in given}
        questions.answer(given)
        if len(self._inputs) > REMEMBERED:
            self._inputs.clear()
        entities, inputs = questions.left.entities, questions.left.inputs
        everything = len(given) == len(entities)
        self._inputs.update(
            zip(entities, inputs, strict=True) if everything else [(entities[at], inputs[at]) for at in given]
        )


def _timed(predict: Callable[[Columns], Predicted], vectors: Columns) -> tuple[Predicted, float]:
    """What is predicted, with the seconds of CPU that it took."""
    began = time.thread_time()
    return predict(vectors), time.thread_time() - began
