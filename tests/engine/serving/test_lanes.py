"""A lane goes on when its connection breaks, and its connection is set up for long arrays."""

import asyncio
import socket
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from penstock.lookups.compat import socket_of
from penstock.lookups.connection import connect
from penstock.postgres.sockets import SEND_BYTES
from penstock.serving.answering.batching import LANES, Batch
from penstock.serving.answering.decoding import Requests
from penstock.serving.http.problems import Problem
from penstock.serving.models.served_model import ServedModel
from tests.engine.serving import toy

ONE = Requests([None], [datetime(2026, 1, 1, tzinfo=UTC)], [b""], [b""], [b""], [""])


class FailingPredictor:
    """Fails once for each lane, as asyncpg does when the server is killed in an operation; then it answers."""

    def __init__(self) -> None:
        self.used: list[Any] = []

    async def answer(self, connection: Any, _: Any, batch: Batch) -> None:
        self.used.append(connection)
        if len(self.used) <= LANES:
            raise asyncpg.InternalClientError("another operation is in progress")
        batch.answer(dict.fromkeys(range(batch.open.size), b"answer"))


def test_a_connection_that_asyncpg_has_lost_track_of_is_not_used_again(postgres: str) -> None:
    predictor = FailingPredictor()

    async def ask() -> None:
        model = ServedModel(toy.CONTRACT, postgres, lambda: datetime.now(UTC))
        model.predictor, model.state = predictor, object()  # type: ignore[assignment]
        model.start()
        try:
            for _ in range(LANES):
                with pytest.raises(Problem) as refused:
                    await model.answers(ONE, is_array=False)
                assert refused.value.status == 503
            assert await model.answers(ONE, is_array=False) == [b"answer"]
        finally:
            await model.stop()

    asyncio.run(ask())
    assert len(predictor.used) == LANES + 1
    assert all(connection.is_closed() for connection in predictor.used[:LANES])


def test_a_piece_of_a_long_array_fits_into_the_socket(postgres: str) -> None:
    async def held() -> int:
        connection = await connect(postgres)
        own = socket_of(connection)
        try:
            assert own is not None
            assert own.family == socket.AF_UNIX
            return int(own.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        finally:
            await connection.close()

    with socket.socket(socket.AF_UNIX) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        allowed = plain.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert asyncio.run(held()) == allowed
