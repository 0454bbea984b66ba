"""A replica's Postgres connections: one pool for all of its models, with a bound, in which no model stops another."""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Any

from penstock.errors import PenstockError
from penstock.lookups.connection import connect

DEFAULT = 12
LOADING = 2
OWN = 2 + LOADING
"""Connections of a replica that answer no predictions: the watcher's, the pages', and those that load tables."""
LEAST = OWN + 2
WAIT_SECONDS = 0.5
"""Longest wait of a batch for a connection."""
STATEMENTS = 100
"""Most prepared statements of a connection; the least recently used one goes for a new one."""
MODELS = 40
"""Most models whose statements a connection is expected to hold: each has two, and those of pointers that moved."""


class ConnectionsInUse(Exception):
    """All connections that a model may use are in use. Its text says by which models."""


class PooledConnection:
    """An open connection, and the models whose prepared statements it holds, the last used one last."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.models: OrderedDict[str, None] = OrderedDict()

    def use(self, model: str) -> None:
        """Note that a model prepares its statements here."""
        self.models[model] = None
        self.models.move_to_end(model)
        if len(self.models) > MODELS:
            self.models.popitem(last=False)


class Lease:
    """The use of a connection by one batch. The connection is closed afterwards unless it is `whole`."""

    def __init__(self, model: str, *, spare: bool) -> None:
        self.model = model
        self.spare = spare
        self.pooled: PooledConnection | None = None
        self.whole = False
        self.late = False
        """Whether the batch was given up because it took too long."""

    @property
    def connection(self) -> Any:
        """The connection of asyncpg, once there is one."""
        return self.pooled.connection if self.pooled else None


class Connections:
    """The connections of a replica for predictions. `most` counts also the OWN others of the replica.

    - There are as many as batches at the same time, however many models there are: a connection is opened when all that
      are open are in use.
    - A model uses the connection that has its prepared statements, if that one is free.
    - The first connection of a model may be any. All further ones, the spare ones, are half of the pool at most. A
      model whose last batch was given up as too late has spare ones only.
    - Batches that have to wait get their turn in the order in which they came.
    """

    def __init__(self, url: str, most: int = DEFAULT) -> None:
        if most < LEAST:
            raise PenstockError(
                "connections of a replica",
                expected=f"at least {LEAST}: {OWN} for the replica itself, the others for predictions",
                found=str(most),
                todo="Correct `connections` in serve_config.yaml.",
            )
        self.url = url
        self.loading = asyncio.Semaphore(LOADING)
        """Held by who loads a table over a connection of its own."""
        self.most = most - OWN
        self._idle: list[PooledConnection] = []
        self._used: Counter[str] = Counter()
        self._all_used = 0
        self._spare_used = 0
        self._late: set[str] = set()
        self._waiting: deque[tuple[Lease, asyncio.Future[None]]] = deque()

    async def take(self, model: str) -> Lease:
        """A connection for a batch of a model; ConnectionsInUse if none is free in time."""
        lease = Lease(model, spare=self._used[model] > 0 or model in self._late)
        if self._is_free(lease):
            self._count(lease, 1)
        else:
            await self._wait(lease)
        try:
            lease.pooled = self._pick(model) or PooledConnection(await connect(self.url, statements=STATEMENTS))
        except BaseException:
            self._count(lease, -1)
            self._wake()
            raise
        lease.pooled.use(model)
        return lease

    def give_back(self, lease: Lease) -> None:
        """Take the connection of a batch back."""
        (self._late.add if lease.late else self._late.discard)(lease.model)
        self._count(lease, -1)
        if lease.pooled is not None:
            if lease.whole:
                self._idle.append(lease.pooled)
            else:
                lease.connection.terminate()
        self._wake()

    def stop(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().connection.terminate()

    def _is_free(self, lease: Lease) -> bool:
        return self._all_used < self.most and not (lease.spare and self._spare_used >= self.most // 2)

    def _count(self, lease: Lease, by: int) -> None:
        self._used[lease.model] += by
        self._all_used += by
        self._spare_used += by * lease.spare

    def _pick(self, model: str) -> PooledConnection | None:
        """An idle connection: the newest that has the model's statements, or has room for them, or, at the bound, any;
        None if one is to be opened."""
        self._idle = [one for one in self._idle if not one.connection.is_closed()]
        full = len(self._idle) + self._all_used > self.most
        found = [one for one in self._idle if model in one.models]
        found = found or [one for one in self._idle if full or len(one.models) < MODELS]
        if not found:
            return None
        self._idle.remove(found[-1])
        return found[-1]

    async def _wait(self, lease: Lease) -> None:
        """Wait for a turn, which `_wake` counts."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lease, turn))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came at the same moment
                self._count(lease, -1)
                self._wake()
            if not isinstance(error, TimeoutError):
                raise
            users = ", ".join(f"{name} {count}" for name, count in self._used.most_common() if count)
            raise ConnectionsInUse(f"{self._all_used} of {self.most} connections are in use ({users})") from None

    def _wake(self) -> None:
        """Hand free connections to those who wait."""
        left: deque[tuple[Lease, asyncio.Future[None]]] = deque()
        for lease, turn in self._waiting:
            if turn.done():
                continue
            if self._is_free(lease):
                self._count(lease, 1)
                turn.set_result(None)
            else:
                left.append((lease, turn))
        self._waiting = left
