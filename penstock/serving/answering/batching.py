"""Natural batching: the calls that wait together are answered together, as one batch over one Postgres connection."""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from penstock.serving.answering.decoding import Requests, concatenated
from penstock.serving.answering.refusing import FaultsAt
from penstock.serving.http.problems import Fault, Problem, refused

LANES = 1
"""Lanes (each one task with one connection) for short calls. With two, fewer calls share a statement and a commit, and
all get slower."""
YIELDS = 2
"""An idle lane yields to the event loop this often before it takes a batch, so that calls whose bytes have already
arrived join it."""
LONG_LANES = 3
"""Lanes for the pieces of long arrays: enough that Python works while Postgres does."""
SHORT = 250
"""Most rows of a batch of short calls, and of one short call."""
PIECE = 500
"""Rows of a piece of a long array: small enough that a replica answers others in between, large enough that what every
batch costs is little beside its rows."""


class Call(msgspec.Struct, gc=False):
    """The requests of one HTTP request, or of the piece of its array that begins at `first`, and their answers."""

    requests: Requests
    answers: asyncio.Future[list[bytes]]
    is_array: bool = False
    first: int = 0


class Batch:
    """The requests of several calls as one list, and the answers so far.

    `open` are the requests that have no answer yet; a position is a place in it.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self.open = concatenated([call.requests for call in calls])
        self._count = self.open.size
        self._places: Sequence[int] = range(self._count)
        self._answers: dict[int, bytes] = {}
        self.computing = False
        """Whether a thread makes features and predictions now, so that the connection is not in use."""

    def answer(self, answers: Mapping[int, bytes]) -> None:
        """Fill in answers by position."""
        places = self._places
        self._answers |= answers if isinstance(places, range) else {places[at]: one for at, one in answers.items()}

    def call_of(self, position: int) -> tuple[Call, int]:
        """The call that an open request belongs to, and its place among the requests of the call."""
        ends = list(accumulate(call.requests.size for call in self._calls))
        place = self._places[position]
        at = bisect_right(ends, place)
        return self._calls[at], place - ends[at] + self._calls[at].requests.size

    def refuse(self, faults: Mapping[int, FaultsAt]) -> None:
        """Refuse the calls of these open requests, with all that is wrong with each."""
        by_call: dict[int, tuple[Call, list[Fault]]] = {}
        for position in sorted(faults):
            call, place = self.call_of(position)
            path = f"$[{call.first + place}]" if call.is_array else "$"
            by_call.setdefault(id(call), (call, []))[1].extend(faults[position](path))
        for call, found in by_call.values():
            if not call.answers.done():
                call.answers.set_exception(refused(*found))

    def deliver(self) -> None:
        """Hand the answers to the calls that still wait."""
        end = 0
        for call in self._calls:
            begin, end = end, end + call.requests.size
            if not call.answers.done():
                call.answers.set_result([self._answers[place] for place in range(begin, end)])

    def close_answered(self) -> bool:
        """Close the requests that are answered or whose call no longer waits; returns whether any is left open."""
        if len(self._answers) == self._count:
            return False
        waits = [not call.answers.done() for call in self._calls for _ in range(call.requests.size)]
        left = [at for at, place in enumerate(self._places) if place not in self._answers and waits[place]]
        self._places, self.open = [self._places[at] for at in left], self.open.at(left)
        return bool(left)


class CallQueue:
    """The calls that wait for a lane. `most` is the number of rows that a batch may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._calls: deque[Call] = deque()
        self._arrived = asyncio.Event()

    def put(self, requests: Requests, *, is_array: bool, first: int = 0) -> asyncio.Future[list[bytes]]:
        """Add a call; returns the future of its answers."""
        answers: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._calls.append(Call(requests, answers, is_array, first))
        self._arrived.set()
        return answers

    async def take(self) -> list[Call]:
        """All waiting calls that fit into one batch; at least one, unless the clients have gone."""
        while not self._calls:
            self._arrived.clear()
            await self._arrived.wait()
            for _ in range(YIELDS):
                await asyncio.sleep(0)
        batch: list[Call] = []
        rows = 0
        while self._calls and (not batch or rows + self._calls[0].requests.size <= self._most):
            call = self._calls.popleft()
            if not call.answers.done():  # the client may have gone
                batch.append(call)
                rows += call.requests.size
        return batch

    def fail(self, problem: Problem) -> None:
        """Refuse all waiting calls."""
        refuse(self._calls, problem)
        self._calls.clear()


class Batcher:
    """The queue of short calls, and the queue of the pieces of long arrays, so that nobody waits for a whole one."""

    def __init__(self) -> None:
        self._short, self._long = CallQueue(SHORT), CallQueue(PIECE)

    def queues(self) -> list[CallQueue]:
        """The queue of each lane."""
        return [*[self._short] * LANES, *[self._long] * LONG_LANES]

    async def answers(self, requests: Requests, *, is_array: bool) -> list[bytes]:
        """The answers to one HTTP request, in order; Problem if it is refused or cannot be answered now.

        - A long array goes in pieces, LONG_LANES at a time, so that other arrays get their turn in between.
        - If a piece fails, the whole fails, with the faults of all pieces. What was answered stays journaled: it is the
          stored answer when the same is posted again.
        """
        if requests.size <= SHORT:
            return await self._short.put(requests, is_array=is_array)
        answers: list[bytes] = []
        faults: list[Fault] = []
        in_progress: deque[asyncio.Future[list[bytes]]] = deque()

        async def take_first() -> None:
            try:
                answers.extend(await in_progress.popleft())
            except Problem as problem:
                if not problem.faults:
                    raise
                faults.extend(problem.faults)

        try:
            for first in range(0, requests.size, PIECE):
                if len(in_progress) == LONG_LANES:
                    await take_first()
                piece = requests.part(first, first + PIECE)
                in_progress.append(self._long.put(piece, is_array=is_array, first=first))
            while in_progress:
                await take_first()
        finally:
            for piece_answers in in_progress:
                if not piece_answers.cancel():
                    piece_answers.exception()
        if faults:
            raise refused(*faults)
        return answers

    def fail(self, problem: Problem) -> None:
        """Refuse all waiting calls."""
        for queue in (self._short, self._long):
            queue.fail(problem)


def refuse(calls: Iterable[Call], problem: Problem) -> None:
    """Refuse the calls that still wait."""
    for call in calls:
        if not call.answers.done():
            call.answers.set_exception(problem)
