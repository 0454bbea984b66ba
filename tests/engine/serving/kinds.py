"""A contract whose request has a field of every type, without lookups: what the OpenAPI document must describe."""

from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from sklearn.linear_model import LinearRegression

from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Columns, Contract, Feature, Output


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class KindsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field of each type that a request may have."""

    name: str
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    loose: Annotated[str, msgspec.Meta(pattern="a.c")] | None = None
    whole: int
    some: Annotated[int, msgspec.Meta(gt=0)] | None = None
    share: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    amount: float | None = None
    yes: bool
    colour: Colour
    size: Literal["small", "large"] | None = None
    level: Literal[1, 2, 3] = 1
    day: date
    local: Annotated[datetime, msgspec.Meta(tz=False)]
    zoned: Annotated[datetime, msgspec.Meta(tz=True)]
    either: datetime | None = None
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """Two numbers."""
    return {
        "share": columns["share"],
        "red": np.array([colour == "red" for colour in columns["colour"].tolist()]) + columns["level"],
    }


CONTRACT = Contract(
    model="kinds",
    purpose="A number of no meaning.",
    request=KindsRequest,
    entity=("name", "whole"),
    lookups=(),
    features=(Feature("share", "number"), Feature("red", "number")),
    compute=features,
    output=Output("number", "regressor"),
)
GOOD: dict[str, Any] = {
    "name": "n",
    "code": "AB",
    "whole": 1,
    "share": 0.5,
    "yes": True,
    "colour": "red",
    "day": "2026-01-31",
    "local": "2026-01-31T12:00:00",
    "zoned": "2026-01-31T12:00:00Z",
}


def packed(folder: Path) -> Path:
    """An artifact of the model."""
    model = LinearRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]), [0.0, 1.0, 2.0])
    pack(model, folder / "kinds.artifact", features=CONTRACT.features, metadata={})
    return folder / "kinds.artifact"
