"""The questions of those who wait together as one list, and whose answers are whose."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from penstock.serving.answering.batching import Waiting
from penstock.serving.answering.decoding import together


class Questions:
    """The questions of a batch, and their answers so far. Positions are those among the questions that are `left`."""

    def __init__(self, batch: Sequence[Waiting]) -> None:
        self._batch = batch
        self.left = together([waiting.asked for waiting in batch])
        self._count = self.left.size
        self._places: Sequence[int] = range(self._count)
        self._answers: dict[int, bytes] = {}

    def answer(self, given: Mapping[int, bytes]) -> None:
        """Fill in answers by position."""
        places = self._places
        self._answers |= given if isinstance(places, range) else {places[at]: one for at, one in given.items()}

    def asked_by(self, position: int) -> tuple[Waiting, int]:
        """Who asked a question, and as which of its own."""
        ends = list(accumulate(waiting.asked.size for waiting in self._batch))
        place = self._places[position]
        at = bisect_right(ends, place)
        return self._batch[at], place - ends[at] + self._batch[at].asked.size

    def give(self) -> None:
        """Hand the answers to who waits for them."""
        end = 0
        for waiting in self._batch:
            begin, end = end, end + waiting.asked.size
            if not waiting.answers.done():
                waiting.answers.set_result([self._answers[place] for place in range(begin, end)])

    def go_on(self) -> bool:
        """Leave out what is answered, and who waits no more; whether anything is left."""
        if len(self._answers) == self._count:
            return False
        waits = [not waiting.answers.done() for waiting in self._batch for _ in range(waiting.asked.size)]
        left = [at for at, place in enumerate(self._places) if place not in self._answers and waits[place]]
        self._places, self.left = [self._places[at] for at in left], self.left.at(left)
        return bool(left)
