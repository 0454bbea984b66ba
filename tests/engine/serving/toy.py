"""A small model with three lookups, and its tables published by hand: what the service's tests serve."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from psycopg import sql
from sklearn.ensemble import RandomForestClassifier

from penstock.artifact.conformal import Conformal
from penstock.artifact.file import rewrite
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output
from penstock.postgres.book import Book
from penstock.postgres.roles import hand_over
from penstock.releases.artifacts import ArtifactStore

START = datetime(2026, 1, 1, tzinfo=UTC)


class TankRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask whether a tank runs over."""

    tank: Annotated[str, msgspec.Meta(min_length=1, max_length=12, examples=["t7"])]
    valve: Annotated[int, msgspec.Meta(ge=0, le=99, examples=[3])]
    inflow: Annotated[float, msgspec.Meta(ge=0, le=1000, examples=[12.5])] = 0.0
    note: str | None = None
    seen: Annotated[datetime, msgspec.Meta(tz=False)] | None = None
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
    model="overflow",
    purpose="Whether a tank runs over.",
    request=TankRequest,
    entity=("tank", "valve"),
    lookups=(
        Lookup("tank", "tanks", {"name": "tank"}, (Column("height", "number", "m"), Column("shape", "text"))),
        Lookup(
            "level",
            "levels",
            {"tank": "tank"},
            (Column("level", "number", "m"), Column("measured_at", "time")),
            as_of=("measured_at", "asked_at"),
        ),
        Lookup("valve", "valves", {"number": "valve"}, (Column("open", "number"),)),
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


def publish(book: Book, table: str, columns: str, rows: list[tuple[Any, ...]], key: str) -> str:
    """Make rows current as publishing does: a new physical table, then the pointer. Returns the snapshot id."""
    snapshot = hashlib.sha256(repr((table, rows)).encode()).hexdigest()
    physical = f"{table}_{snapshot[:12]}"
    with book.connect() as connection:
        connection.execute(f'CREATE TABLE IF NOT EXISTS replicated."{physical}" ({columns}, PRIMARY KEY ({key}))')
        connection.execute(f'DELETE FROM replicated."{physical}"')
        hand_over(connection, sql.Identifier("replicated", physical))
        marks = ", ".join(["%s"] * len(rows[0]))
        connection.cursor().executemany(f'INSERT INTO replicated."{physical}" VALUES ({marks})', rows)
        connection.execute(
            "INSERT INTO replicated.current (table_name, snapshot, physical, rows, bytes, as_of)"
            " VALUES (%s, %s, %s, %s, 0, now()) ON CONFLICT (table_name) DO UPDATE SET"
            " snapshot = excluded.snapshot, physical = excluded.physical, rows = excluded.rows",
            (table, snapshot, physical, len(rows)),
        )
        connection.execute(
            "INSERT INTO replicated.physical_table (physical, table_name, snapshot) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (physical, table, snapshot),
        )
        connection.execute("SELECT pg_notify('penstock', %s)", (f"publish {table} {snapshot}",))
    return snapshot


def publish_tanks(book: Book, height: float = 5.0) -> str:
    """Tanks t0 to t49."""
    rows = [(f"t{n}", height + n / 7, "round" if n % 2 else "square") for n in range(50)]
    return publish(book, "tanks", 'name text COLLATE "C", height float8, shape text COLLATE "C"', rows, "name")


def publish_levels(book: Book, base: float = 1.0) -> str:
    """Ten hourly levels of each tank but t0."""
    rows = [(f"t{n}", START + timedelta(hours=h), base + n / 3 + h / 10) for n in range(1, 50) for h in range(10)]
    columns = 'tank text COLLATE "C", measured_at timestamptz, level float8'
    return publish(book, "levels", columns, rows, "tank, measured_at")


def publish_valves(book: Book) -> str:
    """Valves 0 to 49."""
    return publish(book, "valves", "number integer, open boolean", [(n, n % 3 == 0) for n in range(50)], "number")


def publish_all(book: Book) -> dict[str, str]:
    """All three tables; the snapshot ids."""
    return {"tanks": publish_tanks(book), "levels": publish_levels(book), "valves": publish_valves(book)}


def training_rows(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """The made-up rows as feature columns."""
    frame = made_up(np.random.default_rng(seed))
    return {name: frame[name].to_numpy(dtype=object if name == "shape" else float) for name in frame}


def made_up(rng: np.random.Generator) -> Any:
    """Rows of the toy's features."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "inflow": rng.uniform(0, 100, 400),
            "room": rng.normal(0, 5, 400),
            "shape": pd.Series(rng.choice(["round", "square"], 400), dtype=object),
            "age": rng.uniform(0, 600, 400),
        }
    )
    frame.loc[::7, "room"] = np.nan
    return frame


@cache
def fitted(seed: int) -> Any:
    """A pipeline with a random forest over the toy's features, fitted to made-up rows."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(seed)
    frame = made_up(rng)
    outcome = (frame["inflow"] / 10 - frame["room"].fillna(0) + rng.normal(0, 3, 400) > 5).astype(int)
    encoder = ColumnTransformer([("shape", OneHotEncoder(handle_unknown="ignore"), ["shape"])], remainder="passthrough")
    forest = RandomForestClassifier(20, max_depth=6, random_state=seed)
    return make_pipeline(encoder, forest).fit(frame, outcome)


def release(
    book: Book,
    store: str,
    folder: Path,
    *,
    version: int = 1,
    contract: Contract = CONTRACT,
    digest: str = "",
    explain: bool = False,
    conformal: Conformal | None = None,
    estimator: Any = None,
) -> str:
    """Pack a model, store it and make it current; returns the artifact's digest."""
    if not digest:
        path = folder / f"v{version}.artifact"
        pack(
            estimator or fitted(version),
            path,
            features=contract.features,
            metadata={"version": version},
            background=training_rows(version) if explain else None,
        )
        if conformal is not None:
            rewrite(path, conformal=conformal)
        digest = ArtifactStore(store).put(path)
    with book.connect() as connection:
        entry = connection.execute(
            "INSERT INTO app.release (model, release, action, artifact, contract, period, training_snapshot,"
            " holdout_snapshot, metrics, gate, code_version, who, why) VALUES"
            " (%s, %s, 'release', %s, %s, '2026-01', '', '', '{\"roc_auc\": 0.9}', '{}', '', 'test', '')"
            " RETURNING entry",
            (contract.model, version, digest, contract.digest()),
        ).fetchone()
        assert entry is not None
        connection.execute(
            "INSERT INTO app.current_release VALUES (%s, %s, %s, %s, %s) ON CONFLICT (model) DO UPDATE SET"
            " entry = excluded.entry, release = excluded.release, artifact = excluded.artifact,"
            " contract = excluded.contract",
            (contract.model, entry[0], version, digest, contract.digest()),
        )
        connection.execute("SELECT pg_notify('penstock', %s)", (f"release {contract.model} {version}",))
    return digest
