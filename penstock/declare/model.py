"""The declaration of one model: what it is trained on, with what, and by which rule it is released."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandera.pandas as pa

from penstock.contract.contract import Contract
from penstock.declare.metrics import MetricName, Task, measures_for, task_of
from penstock.errors import PenstockError


@dataclass(frozen=True)
class Bound:
    """What one metric must be on the candidate's held-out rows: as good as `floor`, and not worse than that of the
    current release by more than `margin`. Which direction is better goes without saying, see `measures.MEASURES`.
    """

    metric: MetricName
    floor: float
    margin: float = 0.0


@dataclass(frozen=True)
class GateRule:
    """By which rule a candidate becomes a release.

    On the candidate's held-out rows its `metric` must reach `floor`, and must not be worse than that of
    the current release by more than `margin`; so must every further metric of `also`. On every slice (the values
    of the request field `slice_by`) the first metric must reach `slice_floor`.
    """

    metric: MetricName = "roc_auc"
    floor: float = 0.5
    margin: float = 0.0
    slice_by: str = ""
    slice_floor: float | None = None
    also: tuple[Bound, ...] = ()

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """All metrics with their bounds, the first one first."""
        return (Bound(self.metric, self.floor, self.margin), *self.also)


@dataclass(frozen=True)
class Model:
    """One model. `query` gives the request fields, `asked_at` and the `outcome` of rows that lie between
    the bound values `:from` and `:until` (UTC); lookups are joined to it by the contract.

    The month that a candidate is named by is held out; `window_months` before it are trained on. `reads`
    names the raw tables of `query`. `base_rate_by` gives each row's group; the mean outcome of the group is
    the baseline that a model has to beat. `continues` says how a month goes on from the current release's
    estimator, on the rows that are new since; without it each month is trained anew on the whole window.

    An outcome in text is one of the output's classes. Of more than `most_training_rows` that many are trained on,
    chosen by the digest of their key, so that the same snapshot gives the same rows. `ray_options` are what the
    candidate's task asks of Ray where it runs there, such as `{"num_cpus": 8}`.
    """

    contract: Contract
    query: str
    outcome: str
    shape: pa.DataFrameSchema
    estimator: Callable[[], Any]
    gate: GateRule = field(default_factory=GateRule)
    window_months: int = 6
    continues: Literal["", "partial_fit", "warm_start"] = ""
    most_training_rows: int | None = None
    first_month: str = "2025-07-01"
    base_rate_by: Callable[[Any], Any] | None = None
    requests_query: str = ""
    cron: str = "0 6 2 * *"
    owner: str = ""
    description: str = ""
    reads: Sequence[str] = ()
    ray_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fitting = measures_for(self.task)
        for bound in self.gate.bounds:
            if bound.metric not in fitting:
                raise PenstockError(
                    f"gate of model {self.contract.model!r}",
                    expected=f"metrics for {self.task}: {', '.join(fitting)}",
                    found=repr(bound.metric),
                )
        if self.most_training_rows is not None and self.most_training_rows < 1:
            raise PenstockError(
                f"most_training_rows of model {self.contract.model!r}",
                expected="at least 1",
                found=str(self.most_training_rows),
            )

    @property
    def task(self) -> Task:
        """The kind of question that the model answers."""
        return task_of(self.contract.output)
