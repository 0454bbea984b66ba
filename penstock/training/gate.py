"""The gate: a floor, and not worse than the current release on the same held-out rows, in every declared metric."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.declare.metrics import MEASURES, MetricName
from penstock.declare.model import Bound, GateRule
from penstock.errors import PenstockError
from penstock.training.metrics import METRICS, Metric, Values, difference, intervals

MOST_INTERVALS = 16
INTERVALS: dict[bytes, tuple[float, float]] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of the candidate and of the current release on the same rows. `difference` is candidate minus
    current, with its 95% bootstrap interval."""

    metric: str
    higher_is_better: bool = True
    floor: float
    margin: float
    candidate: float
    current: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None


class Decision(Finding, frozen=True, kw_only=True):
    """What the gate found: the first metric's finding, those of the others in `also`, the first metric by slice."""

    passed: bool
    reasons: tuple[str, ...]
    rows: int
    current_version: int | None = None
    slices: dict[str, float] = {}
    also: tuple[Finding, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people."""
        verdict = "passed" if self.passed else "refused: " + "; ".join(self.reasons)
        return f"{'; '.join(self._said(one) for one in (self, *self.also))}: {verdict}"

    def _said(self, one: Finding) -> str:
        floor = f"{'floor' if one.higher_is_better else 'ceiling'} {one.floor}"
        versus = "" if one.current is None else f", release {self.current_version} {one.current:.4f} on the same rows"
        return f"{one.metric} {one.candidate:.4f} ({floor}{versus})"


def summary_of(gate: Mapping[str, Any]) -> str:
    """The one line of a decision as the ledger keeps it; of a move without one, such as a rollback, what it says."""
    try:
        return msgspec.convert(gate, Decision).summary
    except msgspec.ValidationError:
        return ", ".join(f"{name} {value}" for name, value in gate.items()) or "no gate"


class GateError(PenstockError):
    """A candidate that the gate does not let through; `decision` says why."""

    def __init__(self, model: str, decision: Decision) -> None:
        self.decision = decision
        super().__init__(
            f"candidate of {model}",
            expected="to pass the gate",
            found=decision.summary,
            todo="The current release stays. Train on better data, or use --override --why TEXT, which is recorded.",
        )


def judge(
    rule: GateRule,
    outcome: Values,
    candidate: Values,
    current: Values | None = None,
    *,
    current_version: int | None = None,
    slices: np.ndarray[Any, Any] | None = None,
    further_reasons: tuple[str, ...] = (),
) -> Decision:
    """Judge n scores of the candidate by the rule, against those of the current release if there is one.

    Scores are as `metrics` has them; `slices` names the slice of each row. Nothing is read or written here.
    """
    reasons = list(further_reasons)
    if not np.all(np.isfinite(candidate)):
        reasons.append("its scores are not all numbers")
    findings = [_finding(bound, outcome, candidate, current) for bound in rule.bounds]
    for one in findings:
        reasons += _objections(one, current_version)
    per_slice: dict[str, float] = {}
    if slices is not None:
        metric, sign = METRICS[rule.metric], _sign(findings[0])
        for name in sorted({str(value) for value in slices}):
            rows = slices == name
            per_slice[name] = metric(outcome[rows], candidate[rows])
            if rule.slice_floor is not None and sign * (per_slice[name] - rule.slice_floor) < 0:
                reasons.append(f"{rule.metric} {per_slice[name]:.4f} on {name} is beyond {rule.slice_floor}")
    return Decision(
        **msgspec.structs.asdict(findings[0]),
        passed=not reasons,
        reasons=tuple(reasons),
        rows=len(outcome),
        current_version=current_version,
        slices=per_slice,
        also=tuple(findings[1:]),
    )


def _finding(bound: Bound, outcome: Values, candidate: Values, current: Values | None) -> Finding:
    metric: Metric = METRICS[bound.metric]
    value = metric(outcome, candidate)
    found = Finding(
        metric=bound.metric,
        higher_is_better=MEASURES[bound.metric].higher_is_better,
        floor=bound.floor,
        margin=bound.margin,
        candidate=value,
    )
    if current is None:
        return found
    before = metric(outcome, current)
    interval = _interval(bound.metric, outcome, candidate, current)
    return msgspec.structs.replace(found, current=before, difference=value - before, interval=interval)


def _interval(metric: MetricName, outcome: Values, candidate: Values, current: Values) -> tuple[float, float]:
    """The error bar of the difference. PROD is judged right after TEST, mostly on the same numbers, for which the same
    draws need not be made twice: it is kept under the digest of all of them."""
    hashed = hashlib.sha256(f"{metric} {candidate.shape}".encode())
    for values in (outcome, candidate, current):
        hashed.update(np.ascontiguousarray(values, dtype=np.float64).data)
    if (key := hashed.digest()) not in INTERVALS:
        while len(INTERVALS) >= MOST_INTERVALS:
            del INTERVALS[next(iter(INTERVALS))]
        drawn = difference(METRICS[metric], outcome, candidate, current)
        INTERVALS[key] = intervals(len(outcome), {metric: drawn})[metric]
    return INTERVALS[key]


def _objections(one: Finding, version: int | None) -> list[str]:
    """Why the metric does not let the candidate through. A value that is not a number never does."""
    said = []
    if not _sign(one) * (one.candidate - one.floor) >= 0:
        end = "reach the floor" if one.higher_is_better else "stay below the ceiling"
        said.append(f"{one.metric} {one.candidate:.4f} does not {end} {one.floor}")
    if one.difference is not None and one.interval is not None and not _sign(one) * one.difference >= -one.margin:
        said.append(
            f"{one.metric} {one.candidate:.4f} is worse than {one.current:.4f} of release {version} by more than"
            f" {one.margin} (95% interval of the difference {one.interval[0]:+.4f} to {one.interval[1]:+.4f})"
        )
    return said


def _sign(one: Finding) -> float:
    return 1.0 if one.higher_is_better else -1.0
