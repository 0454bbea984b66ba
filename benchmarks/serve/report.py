"""What a run of `benchmarks.serve` says in the end: the medians, and the ratios beside what is aimed at."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from benchmarks.figures import Aim
from benchmarks.service.load import Load

RAY, BARE, HANDWRITTEN = "Penstock on Ray Serve", "Penstock under bare uvicorn", "handwritten FastAPI service"
FOREIGN = ("MLflow scoring server", "BentoML", "MLServer")
COMPARED_AT = 8


class Report(msgspec.Struct, frozen=True):
    """All figures of a run."""

    loads: Sequence[Load]
    rows_per_second: Mapping[str, float]
    further_replica_mb: float | None
    idle_cores: float | None
    largest_difference: float | None

    def aims(self) -> Iterator[Aim]:
        """The figures that have an aim, as far as their targets were measured."""
        at = {load.target: load for load in self.loads if load.connections == COMPARED_AT}
        ours, limit = at.get(RAY), at.get(BARE)
        if ours is None:
            return
        for other, aim in ((HANDWRITTEN, 20), *((name, 15) for name in FOREIGN)):
            if other in at:
                yield Aim(f"requests a second, times those of {other}", ours.rate / at[other].rate, aim, True)
        yield Aim("CPU of a request over all its processes", ours.cpu_ms, 1.0, False, "ms")
        if limit is not None:
            yield Aim(f"CPU of a request, times that of {BARE}", ours.cpu_ms / limit.cpu_ms, 2.5, False)
            yield Aim(f"requests a second, times those of {BARE}", ours.rate / limit.rate, 0.5, True)
            yield Aim(f"p99, times that of {BARE}", ours.p99_ms / limit.p99_ms, 2.5, False)
        if self.further_replica_mb is not None:
            yield Aim("memory of one more replica (PSS)", self.further_replica_mb, 110, False, "MB")
        if RAY in self.rows_per_second:
            yield Aim("rows a second of arrays of 1,000", self.rows_per_second[RAY], 25_000, True)

    def text(self) -> str:
        """The report, for people."""
        lines = ["", "Medians of all rounds", *(load.line() for load in self.loads)]
        for name, rows in self.rows_per_second.items():
            lines.append(f"{name:<30} arrays of 1,000 {rows:>10,.0f} rows/s")
        if self.idle_cores is not None:
            lines.append(f"{RAY}: all its processes together use {self.idle_cores:.3f} cores while nobody asks")
        if self.largest_difference is not None:
            lines.append(
                f"largest difference of a probability between ours and handwritten: {self.largest_difference:g}"
            )
        lines += ["", f"At {COMPARED_AT} connections, beside what is aimed at", *(aim.line() for aim in self.aims())]
        return "\n".join(lines)
