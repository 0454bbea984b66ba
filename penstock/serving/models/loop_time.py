"""A time limit that counts only the time in which this process runs."""

import asyncio
from types import TracebackType
from typing import Self

PARTS = 8


class LoopTimeout:
    """As asyncio.timeout(seconds), by PARTS timers, each started by the one before.

    On a busy machine a process may stand still for longer than the limit. A single timer is then due before the answer
    is read that came meanwhile; of these timers, at most one is.
    """

    def __init__(self, seconds: float) -> None:
        self._part, self._left = seconds / PARTS, PARTS
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(self._part, self._pass_part)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _pass_part(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._part, self._pass_part)
        else:
            self._limit.reschedule(self._loop.time())
