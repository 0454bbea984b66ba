"""The service that most teams write first: FastAPI, pydantic, SQLAlchemy lookups, a pandas row, a joblib pipeline."""

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import BaseModel, Field

from model_tools.flight_delay import CONTRACT
from penstock import settings
from penstock.artifact import load as artifact
from penstock.contract.columns import column
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots.store import SnapshotStore


class FlightRequest(BaseModel):
    """One coming departure."""

    carrier: str = Field(min_length=2, max_length=4)
    flight: int = Field(ge=1, le=9999)
    origin: str = Field(min_length=2, max_length=4)
    dest: str = Field(min_length=2, max_length=4)
    scheduled_departure: datetime
    tailnum: str | None = None
    asked_at: datetime


class Lookups:
    """One query a lookup, on the current view of its table."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._queries: dict[str, Any] = {}
        for lookup in CONTRACT.lookups:
            names = {*lookup.key, *(c.name for c in lookup.columns), *([lookup.as_of[0]] if lookup.as_of else [])}
            table = sa.table(lookup.table, *(sa.column(name) for name in sorted(names)), schema="replicated")
            query = sa.select(*(table.c[c.name] for c in lookup.columns)).limit(1)
            for ours, theirs in lookup.key.items():
                query = query.where(table.c[ours] == sa.bindparam(theirs))
            if lookup.as_of:
                query = query.where(table.c[lookup.as_of[0]] <= sa.bindparam(lookup.as_of[1]))
                query = query.order_by(table.c[lookup.as_of[0]].desc())
            self._queries[lookup.name] = query

    def __call__(self, request: FlightRequest) -> dict[str, Any]:
        """The row that a request finds in each lookup, as `lookup.column`."""
        found: dict[str, Any] = {}
        with self._engine.connect() as connection:
            for lookup in CONTRACT.lookups:
                row = connection.execute(self._queries[lookup.name], request.model_dump()).mappings().first()
                found |= {f"{lookup.name}.{c.name}": row[c.name] if row else None for c in lookup.columns}
        return found


def pipeline(path: Path) -> Any:
    """The released model's twin: the same estimator fitted to the same snapshot, through joblib."""
    from penstock.declare.discovery import declared
    from penstock.training.frame import feature_frame, training_rows

    found = settings.load()
    model = declared().model(CONTRACT.model)
    with sa.create_engine(_driver(found.demand_url("prod"))).connect() as connection:
        digest = connection.execute(
            sa.text("SELECT artifact FROM app.current_release WHERE model = :model"), {"model": CONTRACT.model}
        ).scalar_one()
    metadata = artifact.load(ArtifactStore(found.artifacts).fetch(digest, path.parent)).metadata
    snapshot = SnapshotStore(found.snapshots).open(str(metadata["training_snapshot"]))
    rows = training_rows(model, snapshot.batches().read_all())
    joblib.dump(model.estimator().fit(feature_frame(rows.vectors), rows.outcome), path)
    return joblib.load(path)


def application() -> FastAPI:
    """The application with its routes."""
    app = FastAPI()
    lookups = Lookups(sa.create_engine(_driver(settings.load().demand_url("prod")), pool_size=20))
    with tempfile.TemporaryDirectory() as folder:
        estimator = pipeline(Path(folder) / "model.joblib")
    kinds = CONTRACT.input_kinds()

    def answers(requests: list[FlightRequest]) -> list[dict[str, Any]]:
        rows = [request.model_dump() | lookups(request) for request in requests]
        columns = {name: column([row[name] for row in rows], kind) for name, kind in kinds.items()}
        vectors = CONTRACT.vectors(columns)
        frame = pd.DataFrame({name: pd.Categorical(v) if v.dtype == object else v for name, v in vectors.items()})
        chances = np.asarray(estimator.predict_proba(frame))
        return [
            {"prediction": CONTRACT.output.classes[int(row.argmax())], "probabilities": row.tolist()} for row in chances
        ]

    @app.post("/models/flight_delay/predict")
    def predict(posted: FlightRequest | list[FlightRequest]) -> Any:
        return answers(posted) if isinstance(posted, list) else answers([posted])[0]

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
