"""Answers go to who asked, whichever questions of a batch are answered first."""

import asyncio
from datetime import UTC, datetime

from penstock.serving.answering.batch import Questions
from penstock.serving.answering.batching import Waiting
from penstock.serving.answering.decoding import Asked

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(*names: str) -> Waiting:
    count = len(names)
    texts = [name.encode() for name in names]
    asked = Asked(list(names), [NOW] * count, texts, texts, texts, [""] * count)
    return Waiting(asked, asyncio.get_running_loop().create_future())


def test_answers_reach_who_asked_in_the_order_of_their_questions() -> None:
    async def run() -> None:
        one, two = waiting("a", "b", "c"), waiting("d", "e")
        questions = Questions([one, two])
        assert questions.left.requests == ["a", "b", "c", "d", "e"]
        questions.answer({4: b"E", 0: b"A", 2: b"C"})
        assert questions.go_on()
        assert questions.left.requests == ["b", "d"]
        assert questions.asked_by(0) == (one, 1)
        assert questions.asked_by(1) == (two, 0)
        questions.answer({1: b"D"})
        assert questions.go_on()
        questions.answer({0: b"B"})
        assert not questions.go_on()
        questions.give()
        assert one.answers.result() == [b"A", b"B", b"C"]
        assert two.answers.result() == [b"D", b"E"]

    asyncio.run(run())


def test_who_waits_no_more_is_left_out() -> None:
    async def run() -> None:
        gone, refused, left = waiting("a", "b"), waiting("c"), waiting("d")
        questions = Questions([gone, refused, left])
        gone.answers.cancel()
        refused.answers.set_exception(ValueError("refused"))
        assert questions.go_on()
        assert questions.left.requests == ["d"]
        assert questions.asked_by(0) == (left, 0)
        questions.answer({0: b"D"})
        assert not questions.go_on()
        questions.give()
        assert left.answers.result() == [b"D"]
        assert isinstance(refused.answers.exception(), ValueError)

    asyncio.run(run())
