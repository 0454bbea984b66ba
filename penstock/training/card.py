"""Makes the model card of a candidate."""

import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.native import Artifact
from penstock.contract.contract import Columns, Contract
from penstock.declare.fitting import FitResult
from penstock.declare.metrics import MEASURES
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.releases.cards import Card, CardFeature, MetricValue, RequestField, Rows
from penstock.releases.ledger import Proposal
from penstock.snapshots.store import Snapshot
from penstock.training.continuing import Start
from penstock.training.contributions import contributions_plot, held_out_contributions
from penstock.training.evaluation import SAMPLE, Estimate, Evaluation, permutation_importances
from penstock.training.fitting import curves_plot
from penstock.training.frame import TrainingRows
from penstock.training.metrics import of_bound
from penstock.training.plots import plot_of

TIMED_ROWS = 20
"""Held-out rows that are asked one by one for what a fallback costs."""
BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "pattern": "matches",
    "enum": "one of",
}


def make_card(
    model: Model,
    proposal: Proposal,
    artifact: Artifact,
    evaluation: Evaluation,
    held_out: TrainingRows,
    *,
    training: Snapshot,
    holdout: Snapshot,
    parity_allowed: float,
    start: Start | None = None,
    outside: tuple[tuple[str, int], ...] = (),
    fitted: FitResult | None = None,
) -> Card:
    """The card of a candidate. Equal artifacts and held-out rows have equal cards, but for what a fallback costs."""
    contract, rule, metrics = model.contract, model.gate, proposal.metrics
    window = Period.parse(proposal.period).windows(1 if start else model.window)
    with ThreadPoolExecutor(1) as beside:  # the plot is drawn while the kernel predicts for the importances
        plot = beside.submit(plot_of, evaluation)
        importance = permutation_importances(
            artifact,
            held_out.vectors,
            held_out.outcome,
            of_bound(model, rule.bounds[0]),
            higher_is_better=MEASURES[rule.metric].higher_is_better,
            task=model.task,
        )
    contributed = held_out_contributions(artifact, held_out.vectors) if model.explain else None
    amounts = contributed.mean_amounts() if contributed else {}
    return Card(
        model=contract.model,
        purpose=contract.purpose,
        owner=model.owner,
        output=contract.output,
        estimator=artifact.estimator,
        artifact=proposal.artifact,
        artifact_bytes=int(metrics["artifact_bytes"]),
        contract=proposal.contract,
        code_version=proposal.code_version,
        period=proposal.period,
        training=Rows(training.id, training.rows, window.training_from, window.holdout_from),
        holdout=Rows(holdout.id, holdout.rows, window.holdout_from, window.holdout_until),
        outcome_rate=float(evaluation.outcome.mean()),
        metrics=tuple(_measured(name, found) for name, found in evaluation.metrics.items()),
        base_rate=metrics.get(f"{rule.bounds[0].name}_base_rate"),
        metric=rule.bounds[0].name,
        floor=rule.floor,
        margin=rule.margin,
        slice_by=rule.slice_by,
        slice_floor=rule.slice_floor,
        slices=tuple(_measured(name, found) for name, found in evaluation.slices.items()),
        parity=float(metrics["parity"]),
        parity_allowed=parity_allowed,
        request=tuple(request_fields(contract)),
        lookups=contract.lookups,
        features=tuple(
            CardFeature(f.name, f.kind, f.meaning, *importance[f.name], amounts.get(f.name)) for f in contract.features
        ),
        importance_rows=min(SAMPLE, len(evaluation.outcome)),
        plot=plot.result(),
        continues=f"{model.continues} from release {start.release}, artifact {start.artifact}" if start else "",
        task=evaluation.task,
        sampled=metrics["training_rows"] if metrics["training_rows"] < training.rows else None,
        outside=outside,
        packed=artifact.fallback is None,
        library=artifact.fallback.library if artifact.fallback else "",
        us_per_row=_us_per_row(artifact, held_out.vectors),
        trusted_types=tuple(model.trusted_types),
        chosen=tuple((name, _said(value)) for name, value in fitted.parameters.items()) if fitted else (),
        curves={name: tuple(map(float, values)) for name, values in fitted.curves.items()} if fitted else {},
        curves_plot=curves_plot(fitted.curves) if fitted else b"",
        conformal=artifact.conformal,
        coverage=metrics.get("coverage"),
        coverage_rows=int(metrics.get("coverage_rows", 0)),
        contributions_plot=contributions_plot(contributed, importance, rule.bounds[0].name) if contributed else b"",
        also=tuple((bound.name, bound.floor, bound.margin) for bound in rule.also),
    )


def _us_per_row(artifact: Artifact, vectors: Columns) -> float | None:
    """What a fallback costs for one row asked alone: the median of some, to one digit. None for a packed model."""
    if artifact.fallback is None:
        return None
    costs: list[float] = []
    for row in range(min(TIMED_ROWS, len(next(iter(vectors.values()))))):
        begun = time.perf_counter()
        artifact.predict({name: values[row : row + 1] for name, values in vectors.items()})
        costs.append((time.perf_counter() - begun) * 1e6)
    return float(f"{statistics.median(costs):.0e}") if costs else None


def request_fields(contract: Contract) -> Iterator[RequestField]:
    """The fields of the request with their bounds in words, in their order, from its JSON schema."""
    schema = msgspec.json.schema(contract.request)["$defs"][contract.request.__name__]
    kinds = contract.request_kinds()
    for name, field in schema["properties"].items():
        options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
        first: Mapping[str, Any] = options[0] | {key: field[key] for key in ("description",) if key in field}
        kind = str(first.get("type") or "one of a list")
        if kinds[name] == "time":
            kind = "time with zone" if first.get("format") == "date-time" else "time without zone"
        bounds = ", ".join(f"{sign} {first[key]}" for key, sign in BOUNDS.items() if key in first)
        yield RequestField(name, kind, name in schema.get("required", ()), bounds, first.get("description", ""))


def _said(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _measured(name: str, found: Estimate) -> MetricValue:
    value, low, high = (None if np.isnan(one) else one for one in (found.value, found.low, found.high))
    return MetricValue(name, value, low, high, found.rows)
