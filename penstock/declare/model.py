"""The declaration of one model: its rows, its estimator, and the gate of its releases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pandera.pandas as pa

from penstock.contract.contract import Contract
from penstock.contract.declaring import DeclarationType
from penstock.declare.cron import default_cron
from penstock.declare.derived_shape import training_shape
from penstock.declare.faults import STEPS, gate_rule_faults, model_faults
from penstock.declare.fitting import FitRows
from penstock.declare.metrics import MetricName, Task, named, task_of
from penstock.declare.periods import NO_DELAY, SPELLINGS, Cadence, Period
from penstock.errors import PenstockError, demand_declared

FIRST: dict[Cadence, Period] = {name: Period.containing(datetime(2025, 7, 1, tzinfo=UTC), name) for name in SPELLINGS}
"""The first period of a model that declares none."""


@dataclass(frozen=True)
class Bound(metaclass=DeclarationType):
    """The bound of one metric on the candidate's held-out rows.

    - The `metric` must reach `floor`; a metric of which less is better (see `metrics.MEASURES`) must not exceed it.
    - It must not be worse than that of the current release by more than `margin`.
    - `of`: of which of several values it is; without it the mean over them.
    """

    metric: MetricName
    floor: float
    margin: float = 0.0
    of: str = ""

    @property
    def name(self) -> str:
        """The name of the metric in ledger and card."""
        return named(self.metric, self.of)


@dataclass(frozen=True)
class GateRule(metaclass=DeclarationType):
    """The conditions under which a candidate becomes a release, on the candidate's held-out rows.

    - `metric` must reach `floor`, and must not be worse than that of the current release by more than `margin`.
    - Each further metric of `also` has a floor and a margin of its own.
    - Fewer held-out rows than `minimum_rows`, in all or in a slice, are refused.
    - `metric` must reach `slice_floor` on every slice, that is for each value of the request field `slice_by`.
    - `of`: of which of several values `metric` is; without it the mean over them.
    """

    metric: MetricName = "roc_auc"
    floor: float = 0.5
    margin: float = 0.0
    minimum_rows: int = 1
    slice_by: str = ""
    slice_floor: float | None = None
    also: tuple[Bound, ...] = ()
    of: str = ""

    def __post_init__(self) -> None:
        demand_declared(gate_rule_faults(self))

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """All metrics with their bounds, the first one first."""
        return (Bound(self.metric, self.floor, self.margin, self.of), *self.also)


@dataclass(frozen=True)
class Model(metaclass=DeclarationType):
    """One model: the rows that its `contract` is trained on, the estimator, and the `gate` of its releases.

    - `owner`, `description`: for people, shown in Dagster.
    - `query`: SQL for the request fields, `asked_at` and the `outcome` of rows that were asked between the bound values
      `:from` and `:until` (UTC). The lookups of the contract are joined to it. `reads`: what it reads:
      raw tables by name, preparations as `prepared/<name>`, and what dbt makes as `dbt/<asset>`.
    - `outcome`: the column of what really happened, called as the contract's output where it is not named. That of a
      classifier is the class of the same text (`1`, `true`, `late`), or the index of a class. The outcomes of several
      values are the columns of their names.
    - `null_outcome`: rows without an outcome are refused, or left out and counted.
    - `rows_outside`: the share of rows that may have values outside the request's bounds; with more, the training set
      is refused. They are counted, and not compared with serving, which would refuse them. Without it, a shape that is
      made of the contract refuses any such row, and beside a declared `shape` they are only counted.
    - `sample_weight`: the column of `query` by which rows count in fitting. Metrics count each row once.
    - `shape`: what the extracted rows must look like. Without it: the request's types and bounds, the lookups' kinds.
    - `estimator`: returns a new, unfitted estimator.
    - `every`: how often a candidate is trained: for each day, ISO week or month, in UTC. That is its period.
    - `window`: how many periods are trained on. The period after them, by which a candidate is named, is held out.
    - `first_period`: the first period that can be trained, such as `2026-10`, `2026-W45` or `2026-11-24`.
    - `outcome_after`: how long after the request the outcome is known. A period is trained when it is over and so much
      time has passed since.
    - `continues`: how the estimator of the current release is trained further, on the rows that are new since; without
      it each period is trained anew on the whole window.
    - `most_training_rows`: with more rows, a sample of that many is trained on. Rows are chosen by a hash of their key,
      so that equal snapshots have equal samples.
    - `base_rate_by`: returns each row's group. The mean outcome of the group is the baseline that a model has to beat.
    - `cron`: when the newest trainable period is trained, in UTC. Without it, on the morning of the day on which a
      period becomes trainable; for months, a day later.
    - `requests_query`: SQL for requests that a backend would send next.
    - `ray_options`: the resources of the training task where it runs on Ray, such as `{"num_cpus": 8}`.
    - `explain`: whether predictions can be explained: a request with `"explain": true` is answered with what each
      feature contributed, and `penstock explain` says it of a journaled one. The artifact then holds a sample of
      training rows.
    - `fit`: fits the estimator instead of its own `fit`: `fit(estimator, rows)` gets the training rows in the order of
      time (FitRows) and returns the fitted estimator, or a FitResult with parameters and curves for the card.
    - `interval`: the share of outcomes that a regressor's interval around each prediction has to hold, such as 0.9.
      `sets`: likewise of a classifier's set of classes. Both are made on half of the held-out rows (split-conformal).
    - `trusted_types`: types, by dotted name, that an estimator which is not packed may bring into its skops file. Every
      replica that loads the artifact runs their code.
    """

    contract: Contract
    query: str
    estimator: Callable[[], Any]
    outcome: str = ""
    shape: pa.DataFrameSchema | None = None
    gate: GateRule = field(default_factory=GateRule)
    every: Cadence = "month"
    window: int = 6
    continues: Literal["", "partial_fit", "warm_start"] = ""
    most_training_rows: int | None = None
    first_period: str = ""
    outcome_after: timedelta = NO_DELAY
    base_rate_by: Callable[[Any], Any] | None = None
    requests_query: str = ""
    null_outcome: Literal["refuse", "leave_out"] = "refuse"
    rows_outside: float | None = None
    sample_weight: str = ""
    cron: str = ""
    owner: str = ""
    description: str = ""
    reads: Sequence[str] = ()
    ray_options: Mapping[str, Any] = field(default_factory=dict)
    trusted_types: Sequence[str] = ()
    explain: bool = False
    fit: Callable[[Any, FitRows], Any] | None = None
    interval: float = 0.0
    sets: float = 0.0

    def __post_init__(self) -> None:
        if not self.outcome:
            object.__setattr__(self, "outcome", self.contract.output.name)
        demand_declared(model_faults(self))

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The columns of what really happened: one, or one for each of several values."""
        return tuple(value.name for value in self.contract.output.values) or (self.outcome,)

    @property
    def read_steps(self) -> tuple[str, ...]:
        """What its query reads, as `warehouse/<name>`, `prepared/<name>` or `dbt/<asset>`."""
        return tuple(one if one.startswith(STEPS) else f"warehouse/{one}" for one in self.reads)

    @property
    def rows_shape(self) -> pa.DataFrameSchema:
        """The shape of its extracted rows: as declared, or made of the contract."""
        if self.shape is not None:
            return self.shape
        own = dict.fromkeys(self.outcomes, self.null_outcome == "leave_out") | (
            {self.sample_weight: False} if self.sample_weight else {}
        )
        return training_shape(self.contract, own, bounded=self.rows_outside is None)

    @property
    def task(self) -> Task:
        """The kind of question that the model answers."""
        return task_of(self.contract.output)

    @property
    def first(self) -> Period:
        """The first period that can be trained."""
        return Period.parse(self.first_period, self.every) if self.first_period else FIRST[self.every]

    @property
    def training_cron(self) -> str:
        """The cron expression of its schedule."""
        return self.cron or default_cron(self.every, self.outcome_after)

    def trainable_from(self, period: Period) -> datetime:
        """When the last outcome of a period is known."""
        return period.end + self.outcome_after

    def demand_from_first(self, period: Period) -> None:
        """PenstockError for a period before the first that can be trained."""
        if self.first_period and period.start < self.first.start:
            raise PenstockError(
                f"period {period} of model {self.contract.model!r}",
                expected=f"{self.first} or a later one",
                found="one before its `first_period`",
                todo="Load the rows of a later one, or declare an earlier `first_period`.",
            )

    def newest_trainable(self, now: datetime) -> Period:
        """The newest period whose outcomes are all known by `now`."""
        return Period.containing(now - self.outcome_after, self.every).moved(-1)
