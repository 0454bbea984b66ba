"""A model in a replica: its parts, and its lanes, which go on when their connection breaks."""

import asyncio
import gc
import socket
from datetime import UTC, datetime
from types import FunctionType, ModuleType
from typing import Any

import asyncpg
import pytest

from penstock.lookups.compat import socket_of
from penstock.lookups.connection import connect
from penstock.postgres.sockets import SEND_BYTES
from penstock.serving.answering.batching import LANES, Batch
from penstock.serving.answering.decoding import Requests
from penstock.serving.http.problems import Problem
from penstock.serving.models.connections import Connections
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

    def stop(self) -> None:
        """There are no threads to end."""


def test_no_part_of_a_served_model_knows_it_or_another_part() -> None:
    """Values go down to the parts, and come back from them."""
    model = ServedModel(toy.CONTRACT, Connections(""), lambda: datetime.now(UTC))
    parts = [part for part in vars(model).values() if type(part).__module__.startswith("penstock.serving")]
    assert len(parts) == 5
    for part in parts:
        known = reached(part)
        assert not [other for other in (model, *parts) if other is not part and id(other) in known], part
    model.decode = model.answers  # type: ignore[assignment]
    assert id(model) in reached(model.decode)


def reached(part: Any) -> dict[int, Any]:
    """All that an object holds, directly or not, by id: of a function what it closes over."""
    found, waiting = {id(part): part}, [part]
    while waiting:
        one = waiting.pop()
        for held in (one.__closure__ or ()) if isinstance(one, FunctionType) else gc.get_referents(one):
            if id(held) not in found and not isinstance(held, ModuleType | type):
                found[id(held)] = held
                waiting.append(held)
    return found


def test_a_connection_that_asyncpg_has_lost_track_of_is_not_used_again(postgres: str) -> None:
    predictor = FailingPredictor()

    async def ask() -> None:
        model = ServedModel(toy.CONTRACT, Connections(postgres), lambda: datetime.now(UTC))
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
