"""What a publish reports for one book."""

from dataclasses import dataclass, field
from datetime import datetime

from penstock.settings import BookName


@dataclass(frozen=True)
class Seconds:
    """How long the steps of a publish took, by the wall clock. `other` is waiting for other books, and the switch."""

    load: float = 0.0
    index: float = 0.0
    verify: float = 0.0
    feasibility: float = 0.0
    other: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Publication:
    """One table that became current in one book, or was current already (`skipped`).

    - `as_of`: the instant that the content tells about.
    - `loaded`: the number of rows that were sent; few if the book had the base of the snapshot already.
    - `bytes`: the size of table and indexes in the book.
    - `lookup_p99_ms`: by declared lookup.
    """

    book: BookName
    table: str
    snapshot: str
    physical: str
    rows: int
    as_of: datetime
    bytes: int
    skipped: bool
    loaded: int = 0
    seconds: Seconds = field(default_factory=Seconds)
    lookup_p99_ms: dict[str, float] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float:
        """Loaded rows per second of the whole time; 0 if nothing was loaded."""
        return self.loaded / self.seconds.total if self.seconds.total else 0.0
