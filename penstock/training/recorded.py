"""What the ledger recorded of the current release, where its artifact cannot be scored on the held-out rows."""

from dataclasses import replace

import msgspec

from penstock.declare.periods import Period
from penstock.releases.entry import LedgerEntry
from penstock.training.gate import Comparison, Finding


def is_comparable(before: LedgerEntry, period: str) -> bool:
    """Whether a release was judged on the rows of this period."""
    return Period.parse(before.period) == Period.parse(period)


def with_recorded(comparison: Comparison, before: LedgerEntry) -> Comparison:
    """The comparison with the metrics that the current release had on the rows of the same period."""
    return replace(comparison, findings=tuple(_with(one, before) for one in comparison.findings))


def _with(finding: Finding, before: LedgerEntry) -> Finding:
    value = before.metrics.get(finding.metric)
    if value is None:
        return finding
    return msgspec.structs.replace(
        finding, current=value, difference=finding.candidate - value, interval=None, recorded=True
    )
