"""A contract as version 0.1.0 knew it. Its digest of then is stored in test_digest.py: nothing here may change."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output


class ParcelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One parcel."""

    depot: Annotated[str, msgspec.Meta(min_length=1, description="Where it lies.", examples=["north"])]
    weight: Annotated[float, msgspec.Meta(gt=0, description="In kilograms.")] = 1.0
    asked_at: datetime | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """Two numbers."""
    return {"weight": columns["weight"] * 1000.0, "load": columns["depot.load"]}


CONTRACT = Contract(
    model="parcel",
    purpose="Whether a parcel comes late.",
    request=ParcelRequest,
    entity=("depot", "weight"),
    lookups=(
        Lookup("depot", "depots", {"name": "depot"}, (Column("load", "number", "parcels"),), as_of=("at", "asked_at")),
    ),
    features=(Feature("weight", "number", "grams"), Feature("load", "number")),
    compute=features,
    output=Output("late", "classifier", ("no", "yes"), unit="parcels"),
)
