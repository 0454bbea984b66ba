"""Answers go to the call that they belong to, whichever requests of a batch are answered first."""

import asyncio
from datetime import UTC, datetime

from penstock.serving.answering.batching import Batch, Call
from penstock.serving.answering.decoding import Requests

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def call(*names: str) -> Call:
    count = len(names)
    texts = [name.encode() for name in names]
    requests = Requests(list(names), [NOW] * count, texts, texts, texts, [""] * count)
    return Call(requests, asyncio.get_running_loop().create_future())


def test_answers_reach_their_call_in_the_order_of_its_requests() -> None:
    async def run() -> None:
        one, two = call("a", "b", "c"), call("d", "e")
        batch = Batch([one, two])
        assert batch.open.decoded == ["a", "b", "c", "d", "e"]
        batch.answer({4: b"E", 0: b"A", 2: b"C"})
        assert batch.close_answered()
        assert batch.open.decoded == ["b", "d"]
        assert batch.call_of(0) == (one, 1)
        assert batch.call_of(1) == (two, 0)
        batch.answer({1: b"D"})
        assert batch.close_answered()
        batch.answer({0: b"B"})
        assert not batch.close_answered()
        batch.deliver()
        assert one.answers.result() == [b"A", b"B", b"C"]
        assert two.answers.result() == [b"D", b"E"]

    asyncio.run(run())


def test_a_call_that_no_longer_waits_is_left_out() -> None:
    async def run() -> None:
        gone, refused, left = call("a", "b"), call("c"), call("d")
        batch = Batch([gone, refused, left])
        gone.answers.cancel()
        refused.answers.set_exception(ValueError("refused"))
        assert batch.close_answered()
        assert batch.open.decoded == ["d"]
        assert batch.call_of(0) == (left, 0)
        batch.answer({0: b"D"})
        assert not batch.close_answered()
        batch.deliver()
        assert left.answers.result() == [b"D"]
        assert isinstance(refused.answers.exception(), ValueError)

    asyncio.run(run())
