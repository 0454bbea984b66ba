"""A natural batcher: requests that wait together go together, each batch over one of a few Postgres connections."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from penstock.lookups.connection import SECONDS, connect
from penstock.serving.answering.decoding import Asked
from penstock.serving.http.problems import Problem, unavailable

LANES = 1
"""Connections for what fits into one batch: with two, fewer share a statement and a commit, and all get slower."""
TURNS = 2
"""Of the event loop before the first of an idle lane goes: those whose bytes have arrived as well go with it."""
LONG_LANES = 3
"""Connections for the pieces of long arrays: enough that Python works while Postgres does."""
SHORT = 250
"""Rows of one batch of the short ones, and of the largest array that goes with them."""
PIECE = 500
"""Rows of one batch of a long array: small enough that a replica answers others in between, large enough that what
every batch costs is little beside its rows."""
SECONDS_PER_ROW = 0.001

# The last is what asyncpg says where a server dies in the middle of an operation: the connection is of no more use.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)

log = logging.getLogger("penstock.serve")


class Waiting(msgspec.Struct, gc=False):
    """A piece of one HTTP request, and where its answers go. `first` is the place of the piece in the array."""

    asked: Asked
    answers: asyncio.Future[list[bytes]]
    many: bool = False
    first: int = 0


Work = Callable[[Any, list[Waiting]], Awaitable[None]]
"""Answers all that wait, through a connection: sets the result or exception of each `answers`."""


class Queue:
    """Who waits for a lane. `most` are the rows of a batch."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Waiting] = deque()
        self._arrived = asyncio.Event()

    def put(self, waiting: Waiting) -> None:
        """Let one more wait."""
        self._waiting.append(waiting)
        self._arrived.set()

    async def take(self) -> list[Waiting]:
        """All that wait and fit into one batch; at least one, unless the clients have gone."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        batch: list[Waiting] = []
        rows = 0
        while self._waiting and (not batch or rows + self._waiting[0].asked.size <= self._most):
            waiting = self._waiting.popleft()
            if not waiting.answers.done():  # the client may have gone
                batch.append(waiting)
                rows += waiting.asked.size
        return batch

    def clear(self) -> list[Waiting]:
        """All that wait, who wait no more."""
        waited = list(self._waiting)
        self._waiting.clear()
        return waited


class Line:
    """Two queues, each before its lanes, one of which is a connection. While all are busy arrivals wait; a free lane
    takes all that wait. Long arrays have lanes of their own, so that nobody waits for the whole of one."""

    def __init__(self, url: str, work: Work) -> None:
        self._url = url
        self._work = work
        self._short, self._long = Queue(SHORT), Queue(PIECE)
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the lanes; each connects when it is needed for the first time."""
        queues = [*[self._short] * LANES, *[self._long] * LONG_LANES]
        self._lanes = [asyncio.create_task(self._lane(queue)) for queue in queues]

    async def stop(self) -> None:
        """Close the lanes."""
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)

    async def ask(self, asked: Asked, *, many: bool = False) -> list[bytes]:
        """The answers to one HTTP request, in order; Problem where it is refused or cannot be answered now.

        A long array goes in pieces, LONG_LANES at a time, so that other arrays get their turn between them. Where a
        piece fails the whole fails; what was answered before stays journaled, and is the stored answer when it is
        asked again.
        """
        if asked.size <= SHORT:
            return await _wait(self._short, asked, many, 0)
        given: list[bytes] = []
        under_way: deque[asyncio.Future[list[bytes]]] = deque()
        try:
            for first in range(0, asked.size, PIECE):
                if len(under_way) == LONG_LANES:
                    given += await under_way.popleft()
                under_way.append(_wait(self._long, asked.part(first, first + PIECE), many, first))
            for piece in under_way:
                given += await piece
        finally:
            for piece in under_way:
                if not piece.cancel():
                    piece.exception()
        return given

    async def _lane(self, queue: Queue) -> None:
        connection = None
        try:
            while True:
                if batch := await queue.take():
                    connection = await self._go(connection, batch)
        finally:
            if connection is not None:
                connection.terminate()

    async def _go(self, connection: Any, batch: list[Waiting]) -> Any:
        rows = sum(waiting.asked.size for waiting in batch)
        try:
            async with asyncio.timeout(SECONDS + rows * SECONDS_PER_ROW):
                if connection is None or connection.is_closed():
                    connection = await connect(self._url)
                await self._work(connection, batch)
        except Exception as error:
            lost = isinstance(error, _LOST) or _is_away(error)
            if lost and not isinstance(error, asyncpg.DataError):
                if connection is not None:
                    connection.terminate()
                connection = None
                away = unavailable("book-away", "The book's Postgres does not answer; no prediction was made.")
                _fail(batch, away)
                if isinstance(error, TimeoutError):  # who waits behind a hung server has waited as long
                    _fail([*self._short.clear(), *self._long.clear()], away)
            elif len(batch) > 1:  # one of them is at fault: ask for each alone
                for waiting in batch:
                    if not waiting.answers.done():
                        connection = await self._go(connection, [waiting])
            else:
                log.exception("a prediction failed", exc_info=error)
                _fail(batch, _problem(error))
        return connection


def _wait(queue: Queue, asked: Asked, many: bool, first: int) -> asyncio.Future[list[bytes]]:
    answers: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
    queue.put(Waiting(asked, answers, many, first))
    return answers


def _is_away(error: Exception) -> bool:
    """Whether Postgres ends, refuses or runs out of connections (classes 08, 53, 57)."""
    return getattr(error, "sqlstate", None) is not None and str(getattr(error, "sqlstate", ""))[:2] in {
        "08",
        "53",
        "57",
    }


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, asyncpg.PostgresError):
        return unavailable("book-refuses", "The book cannot look up or journal; no prediction was given.", 5)
    return Problem(500, "internal", "The service failed; its log says why.")


def _fail(batch: list[Waiting], problem: Problem) -> None:
    for waiting in batch:
        if not waiting.answers.done():
            waiting.answers.set_exception(problem)
