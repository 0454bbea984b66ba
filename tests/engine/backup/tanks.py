"""The model of which each version's books and stores are kept. Never changed: the stored predictions came from it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output


class TankRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask whether a tank runs over."""

    tank: Annotated[str, msgspec.Meta(min_length=1, max_length=12, examples=["t7"])]
    inflow: Annotated[float, msgspec.Meta(ge=0, le=1000, examples=[12.5])] = 0.0
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """Two numbers, a text and a number from an as-of lookup."""
    return {
        "inflow": columns["inflow"],
        "room": columns["tank.height"] - columns["level.level"],
        "shape": columns["tank.shape"],
        "age": (columns["asked_at"] - columns["level.measured_at"]).astype(np.float64) / 60e6,
    }


CONTRACT = Contract(
    model="stored_overflow",
    purpose="Whether a tank runs over.",
    request=TankRequest,
    entity=("tank",),
    lookups=(
        Lookup("tank", "stored_tanks", {"name": "tank"}, (Column("height", "number", "m"), Column("shape", "text"))),
        Lookup(
            "level",
            "stored_levels",
            {"tank": "tank"},
            (Column("level", "number", "m"), Column("measured_at", "time")),
            as_of=("measured_at", "asked_at"),
        ),
    ),
    features=(
        Feature("inflow", "number"),
        Feature("room", "number"),
        Feature("shape", "text"),
        Feature("age", "number"),
    ),
    compute=features,
    output=Output("overflow", "classifier", ("holds", "overflows")),
)
