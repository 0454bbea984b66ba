"""A line of waiting requests keeps going when a connection breaks."""

import asyncio
from typing import Any

import asyncpg
import pytest

from serve_app.lines import LANES, Line, Waiting
from serve_app.problems import Problem


def test_a_connection_that_asyncpg_has_lost_track_of_is_not_used_again(postgres: str) -> None:
    """As when the server is killed in the middle of an operation."""
    used: list[Any] = []

    async def work(connection: Any, batch: list[Waiting]) -> None:
        used.append(connection)
        if len(used) <= LANES:
            raise asyncpg.InternalClientError("another operation is in progress")
        for waiting in batch:
            waiting.answers.set_result([b"answer"] * len(waiting.asked))

    async def ask() -> None:
        line = Line(postgres, work)
        line.start()
        try:
            for _ in range(LANES):
                with pytest.raises(Problem) as refused:
                    await line.ask([None])  # type: ignore[list-item]
                assert refused.value.status == 503
            assert await line.ask([None]) == [b"answer"]  # type: ignore[list-item]
        finally:
            await line.stop()

    asyncio.run(ask())
    assert all(connection.is_closed() for connection in used[:LANES])
