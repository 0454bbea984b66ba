"""One model inside a replica: what it is served from right now, and the lanes that answer its calls."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.lookups.connection import SECONDS
from penstock.lookups.sql import tables_of
from penstock.postgres.pointer import Pointers
from penstock.serving.answering.batching import Batch, Batcher, Call, CallQueue, refuse
from penstock.serving.answering.decoding import Decoder, Requests
from penstock.serving.answering.predictor import Predictor
from penstock.serving.answering.state import Release, ServingState
from penstock.serving.http.problems import Problem, unavailable
from penstock.serving.models.connections import Connections, ConnectionsInUse
from penstock.serving.models.loop_time import LoopTimeout
from penstock.serving.tables.cache import TableCache, release_free_memory

MOST_ROUNDS = 50
SECONDS_PER_ROW = 0.001
# asyncpg raises the last one if a server dies in the middle of an operation: the connection is of no more use.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_AWAY = ("08", "53", "57")
"""Classes of SQLSTATE with which Postgres ends or refuses connections, or runs out of resources."""
_NO_PRIMARY = "25006"
"""The SQLSTATE of a write on a server that only reads: it is not the primary any more."""

log = logging.getLogger("penstock.serve")


class ReleaseRefusal(msgspec.Struct, frozen=True):
    """The book's current release where it cannot be served: why, and the release that is served instead, if any."""

    release: int
    reason: str
    serves: int | None


class ServedModel:
    """A model's decoder, batcher, predictor and tables in memory, and its state, which is replaced as a whole.

    None of these parts knows this object: it hands values down to them, and they return values.
    """

    def __init__(self, contract: Contract, connections: Connections, now: Callable[[], datetime]) -> None:
        self.contract = contract
        self.contract_digest = contract.digest()
        self.decode = Decoder(contract, now)
        self.predictor = Predictor(contract)
        self.tables = TableCache(contract, connections.url, connections.loading)
        self.release: Release | None = None
        self.pointers: Pointers = {}
        self.refused: ReleaseRefusal | None = None
        """The release that is current in the book and cannot be served."""
        self.trouble = "no release yet"
        self.late = ""
        """Why the last batch was given up, where it took too long; else empty."""
        self.state: ServingState | None = None
        self._misfit = ""
        self._connections = connections
        self._batcher = Batcher()
        self._lanes: list[asyncio.Task[None]] = []
        self._loading: asyncio.Task[None] | None = None

    @property
    def journals(self) -> bool:
        """Whether answers are kept, and can be explained from what was kept."""
        return True

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return self.state is not None

    def start(self) -> None:
        """Start the lanes."""
        self._lanes = [asyncio.create_task(self._run_lane(queue)) for queue in self._batcher.queues()]

    async def stop(self) -> None:
        """Stop the lanes, and loading tables."""
        for tasks in (self._lanes, [self._loading] if self._loading else []):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.predictor.stop()

    def use_release(self, release: Release) -> None:
        """Serve from another release."""
        self.release, self.refused = release, None
        self._renew()

    def use_pointers(self, pointers: Pointers) -> None:
        """Serve from other snapshots. Pointers of tables that the model does not look up in are ignored."""
        wanted = {table: pointers[table] for table in tables_of(self.contract) if table in pointers}
        if wanted != self.pointers:
            self.pointers = wanted
            self._renew()

    def use_misfit(self, misfit: str) -> None:
        """Serve only while the columns of the current tables fit the contract; `misfit` says what of them does not."""
        if misfit != self._misfit:
            self._misfit = misfit
            if misfit:
                log.error("%s is not served: %s", self.contract.model, misfit)
            self._renew()

    def refuse_release(self, number: int, reason: str) -> None:
        """Keep what is served, and say why it is not the book's current release."""
        refused = ReleaseRefusal(number, reason, self.release.number if self.release else None)
        if refused != self.refused:
            instead = f"; release {refused.serves} is served" if refused.serves is not None else ""
            log.error("release %s of %s is not served: %s%s", number, self.contract.model, reason, instead)
        self.refused = refused
        if self.state is None:
            self.trouble = f"release {number} cannot be served: {reason}"

    async def answers(self, requests: Requests, *, is_array: bool) -> list[bytes]:
        """The answers to one HTTP request, in order; Problem if it is refused or cannot be answered now."""
        return await self._batcher.answers(requests, is_array=is_array)

    def _renew(self) -> None:
        """Make the state anew; load the tables that are missing in memory meanwhile."""
        cached = self.tables.use(self.pointers)
        if self._loading is None and self.tables.missing() is not None:
            self._loading = asyncio.create_task(self._load_tables())
        if self.release is None:
            return
        if self._misfit:
            self.state, self.trouble = None, self._misfit
            return
        try:
            self.state = ServingState(self.contract, self.release, self.pointers, cached)
            self.trouble = ""
        except PenstockError as error:
            self.state, self.trouble = None, str(error)

    async def _load_tables(self) -> None:
        await self.tables.load_missing()
        self._loading = None
        self._renew()
        release_free_memory()

    async def _run_lane(self, queue: CallQueue) -> None:
        while True:
            if calls := await queue.take():
                await self._answer(calls)

    async def _answer(self, calls: Sequence[Call]) -> None:
        """Answer or refuse calls."""
        if self.state is None:  # takes no connection from those that can answer
            refuse(calls, self._not_ready())
            return
        seconds = SECONDS + sum(call.requests.size for call in calls) * SECONDS_PER_ROW
        batch, lease, failure = Batch(calls), None, None
        try:
            async with LoopTimeout(seconds):
                lease = await self._connections.take(self.contract.model)
                await self._answer_batch(lease.connection, batch)
            lease.whole, self.late = True, ""
        except Exception as error:
            failure = error
            if lease is not None:
                lease.late = isinstance(error, TimeoutError)
                lease.whole = batch.computing or not _is_lost(error)
        finally:
            if lease is not None:
                self._connections.give_back(lease)
        if failure is not None:
            await self._refuse_or_repeat(calls, failure, batch, seconds)

    async def _refuse_or_repeat(self, calls: Sequence[Call], error: Exception, batch: Batch, seconds: float) -> None:
        """Refuse calls that could not be answered; if it is the fault of one of several, answer each alone."""
        if isinstance(error, TimeoutError):
            if batch.computing:
                self.late = f"features and prediction took longer than {seconds:.1f} s"
                problem = unavailable(
                    "too-slow", f"Model {self.contract.model!r}: {self.late}; no prediction was made."
                )
            else:
                self.late = f"Postgres did not answer within {seconds:.1f} s"
                problem = _away()
            refuse(calls, problem)
            self._batcher.fail(problem)  # the calls that wait behind have waited as long
        elif isinstance(error, ConnectionsInUse):
            self.late = str(error)
            refuse(calls, unavailable("connections-in-use", f"Model {self.contract.model!r}: {error}."))
        elif _is_lost(error):
            refuse(calls, _away())
        elif len(calls) > 1:
            for call in calls:
                if not call.answers.done():
                    await self._answer([call])
        else:
            if not isinstance(error, Problem):
                log.exception("a prediction failed", exc_info=error)
            refuse(calls, _problem(error))

    def _not_ready(self) -> Problem:
        slug = "release-refused" if self.refused and self.release is None else "not-ready"
        return unavailable(slug, f"Model {self.contract.model!r}: {self.trouble}.", 5)

    async def _answer_batch(self, connection: Any, batch: Batch) -> None:
        """Answer in rounds, because a pointer may move meanwhile, and other replicas may answer first."""
        moved = None
        for _ in range(MOST_ROUNDS):
            if self.state is None:
                raise self._not_ready()
            moved = await self.predictor.answer(connection, self.state, batch)
            if moved is not None:
                self.use_pointers(moved)
            if not batch.close_answered():
                return batch.deliver()
        if moved is not None:
            raise unavailable("moving", "The replicated tables are being published faster than they can be read.")
        raise unavailable("contended", "Other replicas keep answering about the same entities.")


def _away() -> Problem:
    return unavailable("book-away", "The book's Postgres does not answer; no prediction was made.")


def _is_lost(error: Exception) -> bool:
    """Whether the connection is of no more use."""
    if isinstance(error, asyncpg.DataError):
        return False
    state = str(getattr(error, "sqlstate", None) or "")
    return isinstance(error, _LOST) or state[:2] in _AWAY or state == _NO_PRIMARY


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, asyncpg.PostgresError):
        return unavailable("book-refuses", "The book cannot look up or journal; no prediction was given.", 5)
    return Problem(500, "internal", "The service failed; its log says why.")
