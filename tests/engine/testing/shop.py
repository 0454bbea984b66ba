"""A model with one lookup: how many minutes a courier needs. It is also what docs/testing.md speaks of."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandera.pandas as pa

from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output
from penstock.declare.table import ReplicatedTable


class OrderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask how many minutes a courier needs."""

    shop: str
    parcels: float
    asked_at: datetime | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    return {"parcels": columns["parcels"], "distance": np.nan_to_num(columns["shop.distance"])}


CONTRACT = Contract(
    model="minutes",
    purpose="How many minutes a courier needs.",
    request=OrderRequest,
    entity=("shop",),
    lookups=(Lookup("shop", "shops", {"name": "shop"}, (Column("distance", "number", "km"),)),),
    features=(Feature("parcels", "number"), Feature("distance", "number", "km")),
    compute=features,
    output=Output("minutes", "regressor"),
)
SHOPS = ReplicatedTable(
    "shops",
    "SELECT name, distance FROM source.shops WHERE open",
    ("name",),
    pa.DataFrameSchema({"distance": pa.Column(checks=pa.Check.ge(0))}),
    minimum_rows=1000,
)
