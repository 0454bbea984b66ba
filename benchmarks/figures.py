"""One figure of a benchmark beside its target."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """What was measured. `target` is empty where a figure is only there for comparison; `met` is then None."""

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None

    def line(self) -> str:
        """The figure as one line of a report."""
        verdict = "" if self.met is None else "  met" if self.met else "  MISSED"
        return f"{self.name:<66} {self.value:>10.2f} {self.unit:<4} {self.target:<16}{verdict}"


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that should not be above the limit."""
    return Figure(name, value, unit, f"at most {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that should not be below the limit."""
    return Figure(name, value, unit, f"at least {limit:g}", value >= limit)


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = perf_counter()
    call()
    return perf_counter() - begun


def medians(repeats: int, *calls: Callable[[], object], before: Callable[[], object] | None = None) -> list[float]:
    """The median seconds of each call, taken in turns so that a busy moment of the machine meets all of them.

    `before` each turn something may be made ready, which is not counted.
    """
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        if before is not None:
            before()
        for call, times in zip(calls, taken, strict=True):
            times.append(seconds(call))
    return [median(times) for times in taken]


class Aim(msgspec.Struct, frozen=True):
    """One figure beside its aim; `least` says whether more is better."""

    what: str
    found: float
    aim: float
    least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the aim is reached."""
        return self.found >= self.aim if self.least else self.found <= self.aim

    def line(self) -> str:
        """The figure as a line of the report."""
        sign = "≥" if self.least else "≤"
        return (
            f"{'met   ' if self.met else 'MISSED'} {self.what:<62} {self.found:>10,.2f} {self.unit:<6}"
            f" {sign} {self.aim:,g}"
        )


def peak_rss_mb() -> float:
    """The most memory that this process ever had resident; unlike `ru_maxrss` without that of the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
