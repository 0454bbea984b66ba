"""A model card made by hand, for tests of what is done with cards."""

from datetime import UTC, datetime

from penstock.contract.contract import Column, Lookup, Output
from penstock.releases.cards import Card, CardFeature, MetricValue, RequestField, Rows

JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 8))


def card(artifact: str, *, purpose: str = "Whether a tank runs over.") -> Card:
    return Card(
        model="overflow",
        purpose=purpose,
        owner="team:tanks",
        output=Output("overflow", "classifier", ("holds", "overflows")),
        estimator="RandomForestClassifier",
        artifact=artifact,
        artifact_bytes=4096,
        contract="c" * 64,
        code_version="abc123",
        period="2026-07",
        training=Rows("t" * 64, 5000, JUNE, JULY),
        holdout=Rows("h" * 64, 1000, JULY, AUGUST),
        outcome_rate=0.25,
        metrics=(MetricValue("roc_auc", 0.8125, 0.79, 0.83, 1000), MetricValue("brier", 0.16, None, None, 1000)),
        base_rate=0.7,
        metric="roc_auc",
        floor=0.6,
        margin=0.01,
        slice_by="shape",
        slice_floor=0.55,
        slices=(MetricValue("round", 0.82, 0.8, 0.84, 600), MetricValue("square", None, None, None, 400)),
        parity=0.0,
        parity_allowed=1e-12,
        request=(RequestField("tank", "string", True, "length ≤ 12", "Name | of the tank."),),
        lookups=(Lookup("tank", "tanks", {"name": "tank"}, (Column("capacity", "number"),)),),
        features=(CardFeature("age", "number", "", 0.01, 0.001), CardFeature("room", "number", "m", 0.2, 0.01)),
        importance_rows=1000,
        plot=b"\x89PNG",
    )
