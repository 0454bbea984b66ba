"""The declarations of `flight_delay`: its tables, its model, and their schedules."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from model_tools.flight_delay import CONTRACT
from penstock import settings
from penstock.contract.contract import Columns
from penstock.declare.model import GateRule, Model
from penstock.declare.preparation import Preparation
from penstock.declare.table import ReplicatedTable
from resources.example import first_trainable_month
from schemas import flight_delay as shapes

SQL = Path(__file__).parent / "flight_delay_sql"
OWNER = "team:flight-operations"
HOURLY = {"cron": "10 * * * *", "fresh_within": timedelta(hours=3)}
DAILY = {"cron": "30 12 * * *", "fresh_within": timedelta(hours=36)}

SOURCES = {
    "flights": "Every scheduled departure from New York; outcomes once they have happened.",
    "weather": "Hourly weather at the three airports of New York, up to now.",
    "planes": "The planes by tail number.",
    "airports": "The airports by FAA code.",
    "airlines": "The airlines by carrier code.",
}


def _sql(path: str) -> str:
    return (SQL / f"{path}.sql").read_text()


def _prepared(name: str, description: str) -> Preparation:
    return Preparation(name, _sql(f"prepared/{name}"), reads=("flights",), description=description, owner=OWNER)


def _table(name: str, key: tuple[str, ...], shape: Any, description: str, **more: Any) -> ReplicatedTable:
    lookups = tuple(lookup for lookup in CONTRACT.lookups if lookup.table == name)
    return ReplicatedTable(
        name, _sql(f"tables/{name}"), key, shape, description=description, owner=OWNER, lookups=lookups, **more
    )


PREPARATIONS = (
    _prepared("route_history", "How each carrier's flights on each route did over the last 28 days, per day."),
    _prepared("carrier_history", "How each carrier's departures from each origin did over the last 7 days, per day."),
    _prepared("origin_hour", "How the departures of each origin went over the last three hours, per hour."),
)

TABLES = (
    _table(
        "weather",
        ("origin", "observed_at"),
        shapes.WEATHER,
        "Hourly weather at the origins.",
        after=("warehouse/weather",),
        minimum_rows=8_000,
        **HOURLY,
    ),
    _table(
        "origin_hour",
        ("origin", "known_at"),
        shapes.ORIGIN_HOUR,
        "How departures of each origin went over three hours.",
        after=("prepared/origin_hour",),
        minimum_rows=8_000,
        **HOURLY,
    ),
    _table(
        "route_history",
        ("carrier", "origin", "dest", "known_at"),
        shapes.ROUTE_HISTORY,
        "How each carrier did on each route over 28 days.",
        after=("prepared/route_history",),
        minimum_rows=50_000,
        **DAILY,
    ),
    _table(
        "carrier_history",
        ("carrier", "origin", "known_at"),
        shapes.CARRIER_HISTORY,
        "How each carrier did at each origin over 7 days.",
        after=("prepared/carrier_history",),
        minimum_rows=5_000,
        **DAILY,
    ),
    _table(
        "planes", ("tailnum",), shapes.PLANES, "The planes.", after=("warehouse/planes",), minimum_rows=3_000, **DAILY
    ),
    _table(
        "airports",
        ("faa",),
        shapes.AIRPORTS,
        "The airports.",
        after=("warehouse/airports",),
        minimum_rows=1_000,
        **DAILY,
    ),
)


def estimator() -> Any:
    """A small gradient boosting that takes categories and missing values as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.05,
        max_depth=3,
        min_samples_leaf=400,
        l2_regularization=10.0,
        categorical_features="from_dtype",
        early_stopping=False,
        random_state=0,
    )


HOURS = np.array([f" {hour}" for hour in range(24)], dtype=object)


def carrier_and_hour(columns: Columns) -> np.ndarray[Any, Any]:
    """The group of the base rate, one text per row."""
    departure = columns["scheduled_departure"]
    hour = (departure - departure.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64)
    return np.asarray(columns["carrier"] + HOURS[hour])


MODEL = Model(
    contract=CONTRACT,
    query=_sql("training_set"),
    requests_query=_sql("coming_requests"),
    outcome="late",
    shape=shapes.TRAINING_SET,
    estimator=estimator,
    gate=GateRule(metric="roc_auc", floor=0.64, margin=0.005, slice_by="origin", slice_floor=0.58),
    window=6,
    first_period=first_trainable_month(settings.load().now()),
    base_rate_by=carrier_and_hour,
    cron="0 6 2 * *",
    owner=OWNER,
    explain=True,
    description=CONTRACT.purpose,
    reads=("flights",),
)
