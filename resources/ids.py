"""Ids of predictions: UUIDs of version 7, so that their order is that of time."""

import os
import time

DRAWN = 2048
"""Random bytes drawn at a time."""


class Ids:
    """Maker of version 7 UUIDs, in increasing order within the process."""

    def __init__(self) -> None:
        self._last = 0
        self._noise = ""

    def __call__(self, count: int) -> list[str]:
        """New ids: 48 bits of milliseconds, 12 bits that count within one, 60 random bits."""
        first = max(self._last + 1, time.time_ns() // 1_000_000 << 12)
        self._last = first + count - 1
        random = self._random(16 * count)
        made: list[str] = []
        while (done := len(made)) < count:
            milliseconds, begin = divmod(first + done, 1 << 12)
            end = min(1 << 12, begin + count - done)
            digits = f"{milliseconds:012x}"
            same = f"{digits[:8]}-{digits[8:]}-7"
            made += [
                f"{same}{place:03x}-8{random[at : at + 3]}-{random[at + 3 : at + 15]}"
                for place, at in zip(range(begin, end), range(16 * done, 16 * count, 16), strict=False)
            ]
        return made

    def _random(self, digits: int) -> str:
        """Random hex digits, drawn for many ids at a time."""
        if len(self._noise) < digits:
            self._noise = os.urandom(max(digits // 2, DRAWN)).hex()
        taken, self._noise = self._noise[:digits], self._noise[digits:]
        return taken
