"""How far the journal is behind: answers that are made, and not yet known to be committed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class JournalLag:
    """The writes to the journal of one model in one replica, under way and done."""

    def __init__(self) -> None:
        self.writes = 0
        self.seconds = 0.0
        self._under_way: dict[float, int] = {}

    @contextmanager
    def writing(self, rows: int) -> Iterator[None]:
        """Around one write of `rows` answers that were just made, until Postgres has committed them, or fails."""
        began = time.monotonic()
        while began in self._under_way:
            began += 1e-9
        self._under_way[began] = rows
        try:
            yield
            self.writes += 1
            self.seconds += time.monotonic() - began
        finally:
            del self._under_way[began]

    @property
    def rows_waiting(self) -> int:
        """Answers that are made and not yet committed."""
        return sum(self._under_way.values())

    @property
    def lag(self) -> float:
        """Seconds since the oldest of those was made; 0 where there is none."""
        return time.monotonic() - min(self._under_way) if self._under_way else 0.0
