"""A small model with no lookups, and months of made-up rows: what the training room's tests train on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pandera.pandas as pa
import pyarrow

from penstock.artifact.load import load
from penstock.contract.contract import Columns, Contract, Feature, Output
from penstock.declare.fitting import FitRows
from penstock.declare.model import GateRule, Model
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.training.candidate import Candidate, make_candidate
from penstock.training.held_out import HeldOut

Fit = Callable[[Any, FitRows], Any]


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
    return stored(settings, f"overflow.{step}.{month}", table, start)


def stored(settings: Settings, name: str, table: pyarrow.Table, as_of: datetime) -> Snapshot:
    """The rows as a snapshot."""
    return SnapshotStore(settings.snapshots).write(name, table.to_reader(), Recipe("made up", ("tank",)), as_of=as_of)


def candidate_of(settings: Settings, model: Model, month: str, training: Snapshot, holdout: Snapshot) -> Candidate:
    """The candidate of a month, trained on one snapshot and judged on another."""
    store = ArtifactStore(settings.artifacts)
    held_out = HeldOut(model, holdout, store, settings.artifact_cache)
    return make_candidate(model, month, training, held_out, store, code_version="test")


def settings_in(folder: Path) -> Settings:
    """Settings of a home of its own."""
    return Settings(home=folder)


def trained(folder: Path, estimator: Callable[[], Any], fit: Fit | None) -> tuple[Candidate, Any]:
    """The candidate of March, trained on January and February, whose rows lie mixed in the snapshot; its artifact."""
    settings = settings_in(folder)
    both = [
        rows_of(settings, month, seed=seed).batches().read_all() for seed, month in enumerate(("2026-01", "2026-02"))
    ]
    table = pyarrow.concat_tables(both)
    table = table.set_column(0, "tank", pyarrow.array(np.random.default_rng(0).permutation(table.num_rows)))
    table = table.sort_by("tank")
    training = stored(settings, "overflow.both", table, table["asked_at"][0].as_py())
    model: Model = replace(tank_model(estimator), fit=fit)
    made = candidate_of(settings, model, "2026-03", training, rows_of(settings, "2026-03"))
    return made, load(ArtifactStore(settings.artifacts).fetch(made.proposal.artifact, settings.artifact_cache))
