"""The declaration of one model: what it is trained on, with what, and by which rule it is released."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandera.pandas as pa

from model_tools.contract import Contract


@dataclass(frozen=True)
class GateRule:
    """By which rule a candidate becomes a release.

    On the candidate's held-out rows its `metric` must reach `floor`, and must not be worse than that of
    the current release by more than `margin`. On every slice (the values of the request field `slice_by`)
    it must reach `slice_floor`.
    """

    metric: Literal["roc_auc", "log_loss", "brier"] = "roc_auc"
    floor: float = 0.5
    margin: float = 0.0
    slice_by: str = ""
    slice_floor: float | None = None

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return self.metric == "roc_auc"


@dataclass(frozen=True)
class Model:
    """One model. `query` gives the request fields, `asked_at` and the `outcome` of rows that lie between
    the bound values `:from` and `:until` (UTC); lookups are joined to it by the contract.

    The month that a candidate is named by is held out; `window_months` before it are trained on. `reads`
    names the raw tables of `query`. `base_rate_by` gives each row's group; the mean outcome of the group is
    the baseline that a model has to beat. `continues` says how a month goes on from the current release's
    estimator, on the rows that are new since; without it each month is trained anew on the whole window.
    """

    contract: Contract
    query: str
    outcome: str
    shape: pa.DataFrameSchema
    estimator: Callable[[], Any]
    gate: GateRule = field(default_factory=GateRule)
    window_months: int = 6
    continues: Literal["", "partial_fit", "warm_start"] = ""
    first_month: str = "2025-07-01"
    base_rate_by: Callable[[Any], Any] | None = None
    requests_query: str = ""
    cron: str = "0 6 2 * *"
    owner: str = ""
    description: str = ""
    reads: Sequence[str] = ()
