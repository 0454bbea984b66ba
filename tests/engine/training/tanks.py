"""A small model with no lookups, and months of made-up rows: what the training room's tests train on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandera.pandas as pa
import pyarrow

from penstock.contract.contract import Columns, Contract, Feature, Output
from penstock.declare.model import GateRule, Model
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore


class TankRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask whether a tank runs over."""

    tank: Annotated[int, msgspec.Meta(ge=0)]
    inflow: float
    level: float
    site: str
    asked_at: datetime | None = None


def features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """Two numbers and a text."""
    return {name: columns[name] for name in ("inflow", "level", "site")}


CONTRACT = Contract(
    model="overflow",
    purpose="Whether a tank runs over.",
    request=TankRequest,
    entity=("tank",),
    lookups=(),
    features=(Feature("inflow", "number"), Feature("level", "number", "m"), Feature("site", "text")),
    compute=features,
    output=Output("overflows", "classifier", ("holds", "overflows")),
)


def tank_model(estimator: Any, *, continues: Literal["", "partial_fit", "warm_start"] = "", **gate: Any) -> Model:
    """The model with an estimator of choice; by default its gate lets everything through that is not worse."""
    return Model(
        contract=CONTRACT,
        query="SELECT * FROM tanks WHERE asked_at >= :from AND asked_at < :until",
        outcome="overflows",
        shape=pa.DataFrameSchema({}),
        estimator=estimator,
        gate=GateRule(**{"floor": 0.5, "margin": 0.02, "slice_by": "site"} | gate),
        window=2,
        continues=continues,
    )


def rows_of(settings: Settings, month: str, *, rows: int = 1_500, seed: int = 0, step: str = "rows") -> Snapshot:
    """A month of rows, of which inflow and level decide together, with some noise."""
    random = np.random.default_rng([seed, int(month.replace("-", ""))])
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    inflow, level = random.normal(size=rows), random.normal(size=rows)
    level[::50] = np.nan
    table = pyarrow.table(
        {
            "tank": pyarrow.array(range(rows), pyarrow.int64()),
            "inflow": inflow,
            "level": level,
            "site": random.choice(["north", "south"], rows).tolist(),
            "asked_at": pyarrow.array(
                [start + timedelta(minutes=n) for n in range(rows)], pyarrow.timestamp("us", "UTC")
            ),
            "overflows": pyarrow.array(
                (2 * inflow + np.nan_to_num(level) + random.normal(size=rows) > 0).astype(int).tolist(), pyarrow.int64()
            ),
        }
    )
    reader = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches())
    store = SnapshotStore(settings.snapshots)
    return store.write(f"overflow.{step}.{month}", reader, Recipe("made up", ("tank",)), as_of=start)


def settings_in(folder: Path) -> Settings:
    """Settings of a home of its own."""
    return Settings(home=folder)
