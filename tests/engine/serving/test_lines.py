"""A line of waiting requests keeps going when a connection breaks."""

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from penstock.lookups.connection import connect
from penstock.postgres.sockets import SEND_BYTES
from penstock.serving.answering.batching import LANES, Line, Waiting
from penstock.serving.answering.decoding import Asked
from penstock.serving.http.problems import Problem

ONE = Asked([None], [datetime(2026, 1, 1, tzinfo=UTC)], [b""], [b""], [b""], [""])


def test_a_connection_that_asyncpg_has_lost_track_of_is_not_used_again(postgres: str) -> None:
    """As when the server is killed in the middle of an operation."""
    used: list[Any] = []

    async def work(connection: Any, batch: list[Waiting]) -> None:
        used.append(connection)
        if len(used) <= LANES:
            raise asyncpg.InternalClientError("another operation is in progress")
        for waiting in batch:
            waiting.answers.set_result([b"answer"] * waiting.asked.size)

    async def ask() -> None:
        line = Line(postgres, work)
        line.start()
        try:
            for _ in range(LANES):
                with pytest.raises(Problem) as refused:
                    await line.ask(ONE)
                assert refused.value.status == 503
            assert await line.ask(ONE) == [b"answer"]
        finally:
            await line.stop()

    asyncio.run(ask())
    assert [connection.is_closed() for connection in used[:LANES]] == [True] * LANES


def test_a_piece_of_a_long_array_fits_into_the_socket(postgres: str) -> None:
    async def held() -> int:
        connection = await connect(postgres)
        own = connection._transport.get_extra_info("socket")
        try:
            assert own.family == socket.AF_UNIX
            return int(own.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        finally:
            await connection.close()

    with socket.socket(socket.AF_UNIX) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        allowed = plain.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert asyncio.run(held()) == allowed
