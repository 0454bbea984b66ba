"""Ids of predictions: UUIDs of version 7, so that their order is that of time."""

import os
import time

DRAWN = 2048
"""Random bytes drawn at a time."""
_PLACES = [f"7{place:03x}" for place in range(1 << 12)]


class Ids:
    """Maker of version 7 UUIDs, in increasing order within the process."""

    def __init__(self) -> None:
        self._last = 0
        self._noise = b""

    def __call__(self, count: int) -> list[str]:
        """New ids: 48 bits of milliseconds, 12 that count within one, 12 random ones for all and 48 for each."""
        first = max(self._last + 1, time.time_ns() // 1_000_000 << 12)
        self._last = first + count - 1
        common, random = self._random(2).hex()[:3], self._random(6 * count).hex(",", 6).split(",")
        made: list[str] = []
        while (done := len(made)) < count:
            milliseconds, begin = divmod(first + done, 1 << 12)
            end = min(1 << 12, begin + count - done)
            digits = f"{milliseconds:012x}"
            same = f"{digits[:8]}-{digits[8:]}"
            places = zip(_PLACES[begin:end], random[done:], strict=False)
            made += [f"{same}-{place}-8{common}-{own}" for place, own in places]
        return made

    def _random(self, size: int) -> bytes:
        """Random bytes, drawn for many ids at a time."""
        if len(self._noise) < size:
            self._noise = os.urandom(max(size, DRAWN))
        taken, self._noise = self._noise[:size], self._noise[size:]
        return taken
