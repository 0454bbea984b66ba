"""What the clients of a cluster saw of one event, and what its journal says about it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from benchmarks.chaos.cluster_events import ClusterEvent
from benchmarks.chaos.cluster_stand import ClusterStand
from benchmarks.service.clients import Answers, Clients, lost, merge
from penstock.postgres.book import Book

CALM_SECONDS = 2.0
REFUSED_WITHIN_SECONDS = 1.2
"""A second, and what a busy machine adds."""
BACK_WITHIN_SECONDS = 5.0


class ClusterReport(msgspec.Struct, frozen=True):
    """One event as the clients saw it: those of the entries that survive it, and those of the nodes that it hits.

    `failed_at` are the first and the last failure through a surviving entry, in seconds after the event began.
    """

    name: str
    seconds: float
    answers: int
    failed: dict[str, int]
    expected: tuple[str, ...]
    failed_at: tuple[float, float] | None
    failed_elsewhere: dict[str, int]
    longest_pause_s: float
    slowest_refusal_s: float
    recovered_s: float
    lost: int
    otherwise: int
    double: int

    @property
    def good(self) -> bool:
        """Whether nothing but what is expected failed through a surviving entry, and the journal has every answer once.

        What is expected comes in time, and ends in time.
        """
        in_time = self.slowest_refusal_s <= REFUSED_WITHIN_SECONDS and self.recovered_s <= BACK_WITHIN_SECONDS
        unexpected = self.failed.keys() - set(self.expected)
        return (
            not (unexpected or self.lost or self.otherwise or self.double)
            and (in_time or not self.expected)
            and self.answers > 0
        )

    def line(self) -> str:
        """The event as one line of a report."""
        at = f" at {self.failed_at[0]:.1f} to {self.failed_at[1]:.1f} s" if self.failed_at else ""
        refused = f", slowest refusal {self.slowest_refusal_s:.2f} s" if self.slowest_refusal_s else ""
        back = f", back after {self.recovered_s:.2f} s" if self.recovered_s else ""
        return (
            f"{self.name:<30} {self.seconds:>6.1f} s {self.answers:>7,} answered, through a surviving entry"
            f" {sum(self.failed.values())} failed {self.failed or ''}{at} longest pause {self.longest_pause_s:.2f} s"
            f"{refused}{back}; through the others {sum(self.failed_elsewhere.values())} failed;"
            f" {self.lost} lost, {self.otherwise} otherwise, {self.double} double"
            f"{'' if self.good else '  NOT AS PROMISED'}"
        )


def happened(stood: ClusterStand, event: ClusterEvent, asking: Mapping[str, Clients], book: Book) -> ClusterReport:
    """Do it between two calm moments, and say what the clients saw from the first to the whole service after it."""
    for clients in asking.values():
        clients.fresh()
    surviving = {node.address for node in stood.nodes} - {node.address for node in event.hit}
    started, since = time.monotonic(), datetime.now(UTC)
    time.sleep(CALM_SECONDS)
    began = time.monotonic()
    back = event.act()
    stood.wait_until_whole()
    time.sleep(CALM_SECONDS)
    seen = {address: clients.fresh() for address, clients in asking.items()}
    through = merge(seen[address] for address in surviving)
    whole = merge(seen.values())
    found = lost(book, whole.given, since=since)
    moments = sorted(moment - began for moment in through.trouble_moments)
    return ClusterReport(
        event.name,
        time.monotonic() - started,
        len(whole.given),
        dict(through.troubles),
        event.expected,
        (moments[0], moments[-1]) if moments else None,
        dict(merge(seen[node.address] for node in event.hit).troubles),
        max(_longest_pause(seen[address]) for address in surviving),
        through.slowest_refusal,
        through.recovered_after(back) if isinstance(back, float) else 0.0,
        found["lost"],
        found["journaled otherwise"],
        found["duplicates"],
    )


def summary(reports: Sequence[ClusterReport]) -> str:
    """All events of each name in one line, and the sum of all."""
    names = dict.fromkeys(report.name for report in reports)
    lines = [_sum(name, [one for one in reports if one.name == name]) for name in names]
    return "\n".join([*lines, _sum("all", reports)])


def _sum(name: str, reports: Iterable[ClusterReport]) -> str:
    found = list(reports)
    unexpected = sum(n for one in found for what, n in one.failed.items() if what not in one.expected)
    wrong = sum(one.lost + one.otherwise + one.double for one in found)
    pause = max(one.longest_pause_s for one in found)
    return (
        f"{name:<30} {len(found):>3} times {sum(one.answers for one in found):>9,} answered, {unexpected} failed,"
        f" {wrong} lost, otherwise or double, longest pause {pause:.2f} s"
    )


def _longest_pause(answers: Answers) -> float:
    return max(answers.longest_pause(), answers.slowest)
