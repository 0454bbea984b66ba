"""What a comparison of publishing says in the end: the medians, and the ratios beside what is aimed at."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from benchmarks.figures import Aim

LIMIT, TO_SQL, DLT = "the limit", "pandas to_sql", "dlt"
PUBLISHED, VERIFIED = "penstock without verify", "penstock with verify"
EXTRACTED, WHOLE = "penstock with its extract, without verify", "penstock with its extract and verify"

NOISE = 1.05
"""By so much the peaks of two publishes of the same rows differ."""


class Comparison(msgspec.Struct, frozen=True):
    """One table: the seconds of every round of each contestant, and the most memory of the publishing process.

    `larger_rss_mb` is that of publishing a table of `larger` rows of the same kind, where that was done.
    """

    table: str
    rows: int
    seconds: Mapping[str, Sequence[float]]
    peak_rss_mb: float
    notes: Sequence[str]
    larger: int = 0
    larger_rss_mb: float = 0.0

    def median(self, contestant: str) -> float:
        """Its median seconds."""
        ordered = sorted(self.seconds[contestant])
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2

    def aims(self) -> Iterator[Aim]:
        """The figures that have an aim. Pandas and dlt read the warehouse themselves: beside them stands ours with the
        extract, once as they do it and once with the proof that they do not give."""
        limit = self.median(LIMIT)
        yield Aim(f"{PUBLISHED}, times the limit", self.median(PUBLISHED) / limit, 1.25, False)
        yield Aim(f"{VERIFIED}, times the limit", self.median(VERIFIED) / limit, 1.8, False)
        for other, aim in ((TO_SQL, 8), (DLT, 4)):
            for ours in (EXTRACTED, WHOLE) if other in self.seconds else ():
                yield Aim(f"{other}, times {ours}", self.median(other) / self.median(ours), aim, True)
        yield Aim("peak RSS of the publishing process", self.peak_rss_mb, 400, False, "MB")
        if self.larger:
            growth = self.larger_rss_mb / self.peak_rss_mb
            yield Aim(f"peak RSS at {self.larger:,} rows, times that", growth, NOISE, False)

    def text(self) -> str:
        """The table's part of the report, for people."""
        lines = ["", f"{self.table}, {self.rows:,} rows: median seconds, times the limit, every round"]
        for contestant, found in self.seconds.items():
            middle, rounds = self.median(contestant), ", ".join(f"{one:.2f}" for one in found)
            lines.append(f"  {contestant:<42} {middle:>8.2f} {middle / self.median(LIMIT):>7.2f}   {rounds}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes), *(aim.line() for aim in self.aims())])
