"""The gate: a floor, and not worse than the current release on the same held-out rows."""

from typing import Any

import msgspec
import numpy as np

from model_tools.errors import PenstockError
from resources.model import GateRule
from training.metrics import METRICS, Values, bootstrap_interval


class Decision(msgspec.Struct, frozen=True):
    """What the gate found. `difference` is candidate minus current, with its 95% bootstrap interval."""

    passed: bool
    reasons: tuple[str, ...]
    metric: str
    floor: float
    margin: float
    rows: int
    candidate: float
    current: float | None = None
    current_version: int | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    slices: dict[str, float] = {}

    @property
    def summary(self) -> str:
        """One line for people."""
        versus = "" if self.current is None else f", release {self.current_version} {self.current:.4f} on the same rows"
        verdict = "passed" if self.passed else "refused: " + "; ".join(self.reasons)
        return f"{self.metric} {self.candidate:.4f} (floor {self.floor}{versus}): {verdict}"


class GateRefused(PenstockError):
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

    All arrays have shape (n,); `slices` names the slice of each row. Nothing is read or written here.
    """
    metric = METRICS[rule.metric]
    sign = 1.0 if rule.higher_is_better else -1.0
    value = metric(outcome, candidate)
    reasons = list(further_reasons)
    if not sign * (value - rule.floor) >= 0:
        reasons.append(f"{rule.metric} {value:.4f} does not reach the floor {rule.floor}")
    before, difference, interval = None, None, None
    if current is not None:
        before = metric(outcome, current)
        difference = value - before
        interval = bootstrap_interval(metric, outcome, candidate, current)
        if not sign * difference >= -rule.margin:
            reasons.append(
                f"{rule.metric} {value:.4f} is worse than {before:.4f} of release {current_version}"
                f" by more than {rule.margin} (95% interval of the difference {interval[0]:+.4f} to {interval[1]:+.4f})"
            )
    per_slice: dict[str, float] = {}
    if slices is not None:
        for name in sorted({str(value) for value in slices}):
            rows = slices == name
            per_slice[name] = metric(outcome[rows], candidate[rows])
            if rule.slice_floor is not None and sign * (per_slice[name] - rule.slice_floor) < 0:
                reasons.append(f"{rule.metric} {per_slice[name]:.4f} on {name} is beyond {rule.slice_floor}")
    return Decision(
        passed=not reasons,
        reasons=tuple(reasons),
        metric=rule.metric,
        floor=rule.floor,
        margin=rule.margin,
        rows=len(outcome),
        candidate=value,
        current=before,
        current_version=current_version,
        difference=difference,
        interval=interval,
        slices=per_slice,
    )
