"""The gate: a floor, and not worse than the current release on the same held-out rows, in every declared metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from penstock.declare.metrics import MEASURES
from penstock.declare.model import Bound, GateRule
from penstock.errors import PenstockError
from penstock.quantity import counted, measured
from penstock.training.conformal import Coverage
from penstock.training.metrics import METRICS, Metric, Values, difference, intervals


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the candidate and of the current release on the same rows.

    `difference` is candidate minus current; `interval` is its 95% bootstrap interval. `recorded`: the current release
    was not scored again, because the contract no longer has what it needs: its metric is that of the ledger.
    """

    metric: str
    higher_is_better: bool = True
    floor: float
    margin: float
    candidate: float
    current: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    recorded: bool = False


@dataclass(frozen=True)
class Comparison:
    """The metrics of a candidate and of the current release on the same rows, before any decision.

    - `findings`: one per bound of the rule, in its order.
    - `slices`: slice -> the first metric of the candidate's rows.
    - `slice_rows`: slice -> how many rows it has.
    - `finite`: whether all scores of the candidate are numbers.
    - `other_contract`: that of the current release, where it was scored on features which it was not fitted to; empty
      where it was scored on its own.
    """

    rule: GateRule
    findings: tuple[Finding, ...]
    slices: Mapping[str, float]
    rows: int
    finite: bool
    slice_rows: Mapping[str, int] = field(default_factory=dict)
    other_contract: str = ""


class Decision(Finding, frozen=True, kw_only=True):
    """The decision of the gate: the finding of the first metric, and in `also` those of the others.

    `coverage`: of the candidate's intervals or sets. `current_coverage`: of those of the current release, on what has
    happened since.
    """

    passed: bool
    reasons: tuple[str, ...]
    rows: int
    current_release: int | None = None
    slices: dict[str, float] = {}
    also: tuple[Finding, ...] = ()
    coverage: Coverage | None = None
    current_coverage: Coverage | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        verdict = "passed" if self.passed else "refused: " + "; ".join(self.reasons)
        said = [self._said(one) for one in (self, *self.also)]
        if self.coverage is not None:
            before = self.current_coverage
            of_release = "" if before is None else f", release {self.current_release} {before.share:.4f}"
            said.append(f"coverage {self.coverage.share:.4f} (promised {self.coverage.level}{of_release})")
        return f"{'; '.join(said)}: {verdict}"

    def _said(self, one: Finding) -> str:
        floor = f"{'floor' if one.higher_is_better else 'ceiling'} {one.floor}"
        rows = "as recorded of the same period" if one.recorded else "on the same rows"
        versus = (
            ""
            if one.current is None
            else f", release {self.current_release} {measured(one.current, one.candidate)} {rows}"
        )
        return f"{one.metric} {measured(one.candidate, one.floor, *_known(one.current))} ({floor}{versus})"


def summary_of(gate: Mapping[str, Any]) -> str:
    """One line for the `gate` of a ledger entry: a decision, or of a move without one (a rollback) its fields.

    Entries of 0.1.0 call the current release `current_version`.
    """
    try:
        return msgspec.convert({"current_release": gate.get("current_version")} | dict(gate), Decision).summary
    except msgspec.ValidationError:
        return ", ".join(f"{name} {value}" for name, value in gate.items()) or "no gate"


class GateError(PenstockError):
    """A candidate that does not pass the gate; `decision` says why."""

    def __init__(self, model: str, decision: Decision) -> None:
        self.decision = decision
        super().__init__(
            f"candidate of {model}",
            expected="to pass the gate",
            found=decision.summary,
            todo="The current release stays. Train on better data, or use --override --why TEXT, which is recorded.",
        )


def compare(
    rule: GateRule,
    outcome: Values,
    candidate: Values,
    current: Values | None = None,
    *,
    slices: np.ndarray[Any, Any] | None = None,
    measure: Callable[[Bound], Metric] = lambda bound: METRICS[bound.metric],
) -> Comparison:
    """Compute the rule's metrics of n scores of the candidate, and of the current release if there is one.

    Scores have the shapes that `metrics` describes; `slices` names the slice of each row, and `measure` returns the
    metric of a bound for such scores. Nothing is read or written.
    """
    metric, per_slice, slice_rows = measure(rule.bounds[0]), {}, {}
    for name in sorted({str(value) for value in slices}) if slices is not None else ():
        rows = slices == name
        per_slice[name] = metric(outcome[rows], candidate[rows])
        slice_rows[name] = int(np.count_nonzero(rows))
    return Comparison(
        rule=rule,
        findings=tuple(_finding(bound, measure(bound), outcome, candidate, current) for bound in rule.bounds),
        slices=per_slice,
        rows=len(outcome),
        finite=bool(np.all(np.isfinite(candidate))),
        slice_rows=slice_rows,
    )


def with_recorded(comparison: Comparison, metrics: Mapping[str, Any]) -> Comparison:
    """The comparison with the metrics that the ledger recorded of the current release on the rows of the same period,
    where its artifact cannot be scored on these rows."""
    findings = [
        msgspec.structs.replace(one, current=value, difference=one.candidate - value, interval=None, recorded=True)
        if (value := metrics.get(one.metric)) is not None
        else one
        for one in comparison.findings
    ]
    return replace(comparison, findings=tuple(findings))


def decide(
    comparison: Comparison,
    *,
    current_release: int | None = None,
    further_reasons: tuple[str, ...] = (),
    coverage: Coverage | None = None,
    current_coverage: Coverage | None = None,
) -> Decision:
    """Whether the candidate passes: no metric and no slice is against it, nor the coverage of its intervals or sets,
    and there are no further reasons."""
    rule, first = comparison.rule, comparison.findings[0]
    reasons = list(further_reasons)
    if not comparison.finite:
        reasons.append("its scores are not all numbers")
    for one in comparison.findings:
        reasons += _objections(one, current_release, comparison.other_contract)
    for name, value in comparison.slices.items():
        count = comparison.slice_rows.get(name, comparison.rows)
        if count < rule.minimum_rows:
            reasons.append(f"{name} has {counted(count, 'row')}, fewer than minimum_rows {rule.minimum_rows:,}")
        elif rule.slice_floor is not None and not _sign(first) * (value - rule.slice_floor) >= 0:
            found = (
                "is not a number (one class only?) for"
                if np.isnan(value)
                else f"{measured(value, rule.slice_floor)} is beyond"
            )
            reasons.append(f"{first.metric} on {name} {found} {rule.slice_floor}")
    if coverage is not None and coverage.too_low:
        reasons.append(
            f"its {coverage.level:g} intervals or sets hold {coverage.share:.4f} of {coverage.rows:,} outcomes,"
            " less than chance explains"
        )
    return Decision(
        **msgspec.structs.asdict(first),
        passed=not reasons,
        reasons=tuple(reasons),
        rows=comparison.rows,
        current_release=current_release,
        slices=dict(comparison.slices),
        also=comparison.findings[1:],
        coverage=coverage,
        current_coverage=current_coverage,
    )


def _finding(bound: Bound, metric: Metric, outcome: Values, candidate: Values, current: Values | None) -> Finding:
    value = metric(outcome, candidate)
    found = Finding(
        metric=bound.name,
        higher_is_better=MEASURES[bound.metric].higher_is_better,
        floor=bound.floor,
        margin=bound.margin,
        candidate=value,
    )
    if current is None:
        return found
    before = metric(outcome, current)
    drawn = difference(metric, outcome, candidate, current)
    interval = intervals(len(outcome), {bound.name: drawn})[bound.name]
    return msgspec.structs.replace(found, current=before, difference=value - before, interval=interval)


def _known(value: float | None) -> tuple[float, ...]:
    return () if value is None else (value,)


def _objections(one: Finding, release: int | None, other_contract: str) -> list[str]:
    """The reasons against the candidate by one metric. A value that is not a number is always one."""
    if np.isnan(one.candidate):
        return [
            f"{one.metric} is not a number, as of one row or of equal outcomes: expected a number beside {one.floor}"
        ]
    said = []
    if not _sign(one) * (one.candidate - one.floor) >= 0:
        end = "reach the floor" if one.higher_is_better else "stay below the ceiling"
        said.append(f"{one.metric} {measured(one.candidate, one.floor)} does not {end} {one.floor}")
    if one.difference is not None and not _sign(one) * one.difference >= -one.margin:
        interval = (
            one.interval and f" (95% interval of the difference {one.interval[0]:+.4f} to {one.interval[1]:+.4f})"
        )
        said.append(
            f"{one.metric} {measured(one.candidate, *_known(one.current))} is worse than"
            f" {measured(one.current or 0.0, one.candidate)} of release {release} by more than"
            f" {one.margin}{interval or ''}{_of_other_features(other_contract)}"
        )
    return said


def _of_other_features(contract: str) -> str:
    said = f"; that release was fitted to the features of contract {contract[:12]}, and is scored on those of this one"
    return said if contract else ""


def _sign(one: Finding) -> float:
    return 1.0 if one.higher_is_better else -1.0
