"""From a batch to journaled answers: one lookup, one predict and one journal write for all of its requests."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import eq
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from penstock.artifact.native import Artifact
from penstock.contract.columns import request_columns
from penstock.contract.contract import Contract, Lookup
from penstock.errors import ContractError
from penstock.journal import writing
from penstock.journal.answers import AnswerForm, Ids, Predicted, repeated
from penstock.journal.writing import JournalLag, NewEntries
from penstock.lookups.sql import STORED_ANSWER
from penstock.lookups.statement import UNDEFINED_TABLE, Columns, LookupResult
from penstock.postgres.pointer import Pointers, read_pointers
from penstock.serving.answering.batching import LANES, LONG_LANES, Batch
from penstock.serving.answering.decoding import Requests
from penstock.serving.answering.plan import Plan, StoredAnswer, plan, without_row
from penstock.serving.answering.refusing import (
    FaultsAt,
    RequestRefusals,
    answer_faults,
    feature_faults,
    lookup_faults,
)
from penstock.serving.answering.state import ServingState

REMEMBERED = 20_000
"""Most entities whose last input is kept."""
TIMED_ROWS = 100
"""Fewest rows of a prediction from which the time per row is measured."""
LONG_SECONDS = 0.005
"""Longest time that features and predictions may hold the event loop. Longer ones run in a thread, which costs more in
all."""
OTHERS_SECONDS = 0.05
"""How long a thread may wait for other threads of a busy machine. A function that takes longer waits for something."""

Result = TypeVar("Result")


class PredictionInput(NamedTuple):
    """What is known about n requests before they are predicted. `digests` are of the looked-up rows."""

    requests: Requests
    columns: Columns
    found: LookupResult
    digests: Sequence[bytes]
    plan: Plan

    def of_new(self) -> Self:
        """The requests that have to be predicted; their columns include the looked-up ones."""
        requests, columns, found, digests, planned = self
        columns = columns | found.columns
        new = planned.new
        if len(new) != requests.size:
            requests, digests = requests.at(new), [digests[place] for place in new]
            rows, missing = [found.rows[place] for place in new], [found.missing[place] for place in new]
            columns = {name: values[new] for name, values in columns.items()}
            found = LookupResult({}, rows, missing)
        return self._replace(requests=requests, columns=columns, found=found, digests=digests)


class Predictor:
    """Answers batches for one model. There are two ways to the same answers:

    - At once: look up in memory, predict, and let one statement journal the new answers and return the stored one where
      nothing has changed. This costs one round trip.
    - After a lookup: look up in Postgres, together with the stored answers, then predict and journal. This is for
      tables that are not in memory, for requests that were just answered (an unchanged one is then not predicted), and
      for several different requests about one entity.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.lag = JournalLag()
        self.new_ids = Ids()
        self._relaxed = contract.journal == "relaxed"
        self._inputs: dict[bytes, bytes] = {}
        """Entity -> input of its last answer, for up to REMEMBERED entities."""
        self._row_seconds = 0.0
        self._is_slow = True
        """Whether the last features and predictions took longer than LONG_SECONDS; True before the first ones."""
        self._threads = ThreadPoolExecutor(LANES + LONG_LANES, f"predict {contract.model}")
        """This model's own, so that one whose features take long takes no thread from another."""

    def stop(self) -> None:
        """End the threads that do nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, connection: Any, state: ServingState, batch: Batch) -> Pointers | None:
        """Answer the open requests of a batch.

        - Requests about whose entity another replica has just answered stay open.
        - The calls of requests that cannot be answered are refused; all others stay open then.
        - If a pointer of the state has moved, all stay open, and the pointers as they are now are returned.
        """
        prepared = self._in_memory(state, batch.open)
        try:
            if prepared is None:
                return await self._after_lookup(connection, state, batch)
            return await self._at_once(connection, state, batch, prepared)
        except RequestRefusals as refused:
            batch.refuse(refused.faults)
            return None

    def _in_memory(self, state: ServingState, requests: Requests) -> PredictionInput | None:
        """The input of the predictions; None if Postgres has to be asked, or if some need no prediction."""
        if (
            not state.in_memory
            or self._relaxed
            or any(map(eq, map(self._inputs.get, requests.entities), requests.inputs))
        ):
            return None
        columns = request_columns(self._contract, requests.decoded)
        found = state.look_up(requests.decoded, columns)
        digests = found.digests()
        planned = plan(requests, [None] * requests.size, digests, state.release.number, self._contract.unchanged)
        if len(planned.new) != len(planned.last) or without_row(self._contract, found):
            return None
        return PredictionInput(requests, columns, found, digests, planned)

    async def _at_once(
        self, connection: Any, state: ServingState, batch: Batch, prepared: PredictionInput
    ) -> Pointers | None:
        """Predict, and journal in one statement, which also returns the stored answers that hold."""
        entries, predictions = await self._predict(state, batch, prepared)
        number = await state.number(connection)
        with self.lag.writing(len(entries.ids)):
            records = await writing.write(connection, state.write_at_once, state.origin, number, entries)
        if records and not records[0][1]:
            return await read_pointers(connection)
        new = prepared.plan.new
        answers = dict(zip(new, state.form.new(entries.ids, predictions), strict=True))
        for place, _, id_, prediction, release, snapshots in records:
            if id_ is None:  # another replica has just answered the same
                del answers[new[place - 1]]
            else:
                answers[new[place - 1]] = AnswerForm(release, snapshots.encode()).unchanged(id_, prediction.encode())
        self._answer(batch, prepared.plan, answers)
        return None

    async def _after_lookup(self, connection: Any, state: ServingState, batch: Batch) -> Pointers | None:
        """Look up with the stored answers, then predict and journal what is new."""
        requests = batch.open
        records = await _records(connection, state, requests)
        if records is None:
            return await read_pointers(connection)
        columns = request_columns(self._contract, requests.decoded)
        found = state.statement.decode(records, state.known(requests.decoded, columns))
        if lost := without_row(self._contract, found):
            artifact = state.release.artifact
            faults = await self._in_thread(batch, faults_of, self._contract, artifact, requests, columns, found, lost)
            raise RequestRefusals(faults)
        width = len(STORED_ANSWER)
        stored = [StoredAnswer(*record[1 : 1 + width]) if record[1] is not None else None for record in records]
        digests = found.digests()
        planned = plan(requests, stored, digests, state.release.number, self._contract.unchanged)
        self._answer(batch, planned, {position: one.json() for position, one in planned.stored.items()})
        if not planned.new:
            return None
        prepared = PredictionInput(requests, columns, found, digests, planned)
        entries, predictions = await self._predict(state, batch, prepared)
        answers = dict(zip(planned.new, state.form.new(entries.ids, predictions), strict=True))
        if self._relaxed:
            self._answer(batch, planned, answers)
            batch.deliver()
        before = [one.id if one else None for one in (stored[position] for position in planned.new)]
        last = [position in planned.last for position in planned.new]
        number = await state.number(connection)
        with self.lag.writing(len(entries.ids)):
            counts = await writing.write(
                connection, state.write_after_lookup, state.origin, number, entries, before, last
            )
        if not self._relaxed:
            entities = {record[0] for record in counts}
            counting = {place: answer for place, answer in answers.items() if requests.entities[place] in entities}
            self._answer(batch, planned, counting)
        return None

    async def _predict(
        self, state: ServingState, batch: Batch, prepared: PredictionInput
    ) -> tuple[NewEntries, list[bytes]]:
        """The journal entries of the new predictions, and these as JSON. Long predictions run in a thread.

        RequestRefusals for those whose features the model does not take.
        """
        new, prepared = prepared.plan.new, prepared.of_new()
        columns, predict, rows = prepared.columns, state.release.artifact.predict, prepared.requests.size
        try:
            if self._is_slow or rows * self._row_seconds >= LONG_SECONDS:
                vectors, predicted, seconds = await self._in_thread(batch, self._timed, predict, columns)
            else:
                vectors, predicted, seconds = self._timed(predict, columns)
        except ContractError:
            vectors = await self._in_thread(batch, self._contract.vectors, columns)
            refusals = await self._in_thread(batch, state.release.artifact.refusals, vectors)
            if not refusals:
                raise
            faults = feature_faults(self._contract, refusals, prepared.columns, prepared.found.missing)
            raise RequestRefusals({new[row]: one for row, one in faults.items()}) from None
        if not np.isfinite(predicted).all():
            raise RequestRefusals({new[row]: one for row, one in answer_faults(predicted).items()})
        if rows >= TIMED_ROWS:
            self._row_seconds, self._is_slow = seconds / rows, False
        else:
            self._is_slow = seconds >= LONG_SECONDS
        return self.entries(state, prepared, vectors, predicted)

    async def _in_thread(self, batch: Batch, compute: Callable[..., Result], *values: Any) -> Result:
        """Run a function in one of the model's threads; its result."""
        batch.computing = True  # stays so if the batch is given up meanwhile: its connection is not in use then
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, compute, *values)
        except Exception:
            batch.computing = False
            raise
        batch.computing = False
        return result

    def _timed(self, predict: Callable[[Columns], Predicted], columns: Columns) -> tuple[Columns, Predicted, float]:
        """Feature vectors, predictions, and the seconds of CPU, or of waiting for something, that they took."""
        began, cpu = time.perf_counter(), time.thread_time()
        vectors = self._contract.vectors(columns)
        predicted = predict(vectors)
        cpu, waited = time.thread_time() - cpu, time.perf_counter() - began - OTHERS_SECONDS
        return vectors, predicted, max(cpu, waited)

    def entries(
        self, state: ServingState, prepared: PredictionInput, vectors: Columns, predicted: Predicted
    ) -> tuple[NewEntries, list[bytes]]:
        """The journal entries of n predictions, and these as JSON."""
        requests, _, found, digests, _ = prepared
        predictions = state.predictions(predicted, found.missing)
        features = writing.feature_digests(self._contract, vectors)
        entries = NewEntries(
            ids=self.new_ids(requests.size),
            digests=(requests.entities, requests.inputs, digests, features),
            asked_at=requests.asked_at,
            requests=requests.texts,
            looked_up=found.rows,
            predictions=predictions,
            request_ids=requests.request_ids,
        )
        return entries, predictions

    def _answer(self, batch: Batch, planned: Plan, answers: dict[int, bytes]) -> None:
        """Fill in answers by position, and the answers that repeat them."""
        answers |= {place: repeated(answers[first]) for place, first in planned.repeats.items() if first in answers}
        batch.answer(answers)
        if len(self._inputs) > REMEMBERED:
            self._inputs.clear()
        entities, inputs = batch.open.entities, batch.open.inputs
        everything = len(answers) == len(entities)
        self._inputs.update(
            zip(entities, inputs, strict=True) if everything else [(entities[at], inputs[at]) for at in answers]
        )


def faults_of(
    contract: Contract,
    artifact: Artifact,
    requests: Requests,
    columns: Columns,
    found: LookupResult,
    lost: Mapping[int, list[Lookup]],
) -> dict[int, FaultsAt]:
    """The faults of requests whose row has to be there and is not, and of the others that the model refuses."""
    faults = {place: lookup_faults(requests.decoded[place], lookups) for place, lookups in lost.items()}
    if others := [place for place in range(requests.size) if place not in lost]:
        made = {name: values[others] for name, values in (columns | found.columns).items()}
        refusals = artifact.refusals(contract.vectors(dict(made)))
        missing = [found.missing[place] for place in others]
        refused = feature_faults(contract, refusals, made, missing)
        faults |= {others[at]: one for at, one in refused.items()}
    return faults


async def _records(connection: Any, state: ServingState, requests: Requests) -> list[Any] | None:
    """The records of the lookup statement; None if a pointer has moved, so that a table may even be gone."""
    statement = state.statement
    try:
        records: list[Any] = await connection.fetch(
            statement.sql, *statement.arguments(requests.decoded, requests.entities)
        )
    except Exception as error:
        if getattr(error, "sqlstate", "") != UNDEFINED_TABLE:
            raise
        return None
    return records if records[0][0] else None
