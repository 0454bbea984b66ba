"""Any number of models, each with three tables of its own: declared, released and published."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from penstock.contract.contract import Column, Columns, Contract, Feature, Lookup, Output
from penstock.contract.features import Vectors
from penstock.declare.model import Model
from penstock.declare.project import Declarations
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book

TABLES, ROWS = 3, 1000
QUERY = "SELECT shop, asked_at, outcome FROM orders WHERE asked_at >= :from AND asked_at < :until"


class ShopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask about one shop."""

    shop: Annotated[int, msgspec.Meta(ge=0, lt=ROWS)]
    amount: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def features(columns: Columns) -> Vectors:
    """The looked-up numbers as they are."""
    return {"amount": columns["amount"], **{f"level_{n}": columns[f"table_{n}.level"] for n in range(TABLES)}}


def contract(model: str) -> Contract:
    """A model of one request and three lookups."""
    lookups = [Lookup(f"table_{n}", f"{model}_{n}", {"shop": "shop"}, (Column("level", "number"),)) for n in range(3)]
    names = ("amount", *(f"level_{n}" for n in range(TABLES)))
    return Contract(
        model=model,
        purpose="Whether an order comes back.",
        request=ShopRequest,
        entity=("shop",),
        lookups=tuple(lookups),
        features=tuple(Feature(name, "number") for name in names),
        compute=features,
        output=Output("outcome", "classifier", ("kept", "returned")),
    )


def contracts(count: int) -> dict[str, Contract]:
    """So many models by name."""
    return {name: contract(name) for name in (f"model_{n}" for n in range(count))}


def declarations(count: int) -> Declarations:
    """All that a project of so many models declares."""
    made = contracts(count)
    tables = [
        ReplicatedTable(lookup.table, "SELECT shop, level FROM levels", ("shop",), lookups=(lookup,))
        for one in made.values()
        for lookup in one.lookups
    ]
    models = {name: Model(one, QUERY, estimator) for name, one in made.items()}
    return Declarations(sources={}, tables={table.name: table for table in tables}, models=models)


def estimator() -> Any:
    """What the benches' one artifact is fitted with."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=100, max_depth=4, random_state=0)


def release(book: Book, artifacts: str, folder: Path, made: dict[str, Contract]) -> None:
    """Publish the tables of each model, and release one artifact for all of them."""
    import pandas as pd

    from penstock.artifact.packing.pack import pack
    from penstock.releases.artifacts import ArtifactStore

    rng = np.random.default_rng(0)
    one = next(iter(made.values()))
    frame = pd.DataFrame({feature.name: rng.normal(size=2000) for feature in one.features})
    fitted = estimator().fit(frame, (frame.sum(axis=1) > 0).astype(int))
    pack(fitted, folder / "artifact", features=one.features, metadata={})
    digest = ArtifactStore(artifacts).put(folder / "artifact")
    with book.connect() as connection:
        for name, model in made.items():
            connection.execute(
                "WITH made AS (INSERT INTO app.release (model, release, action, artifact, contract, period,"
                " training_snapshot, holdout_snapshot, metrics, gate, code_version, who, why)"
                " VALUES (%(name)s, 1, 'release', %(digest)s, %(contract)s, '2026-01', '', '', '{}', '{}', '', '', '')"
                " RETURNING entry) INSERT INTO app.current_release"
                " SELECT %(name)s, entry, 1, %(digest)s, %(contract)s FROM made",
                {"name": name, "digest": digest, "contract": model.digest()},
            )
            for lookup in model.lookups:
                publish(connection, lookup.table)


def publish(connection: Any, table: str) -> None:
    """A table of ROWS shops, as publishing leaves it."""
    snapshot = hashlib.sha256(table.encode()).hexdigest()
    physical = f"{table}_{snapshot[:12]}"
    connection.execute(
        f'CREATE TABLE replicated."{physical}" (shop integer PRIMARY KEY, level float8);'
        f'INSERT INTO replicated."{physical}" SELECT n, sin(n) FROM generate_series(0, {ROWS - 1}) n'
    )
    connection.execute(
        "INSERT INTO replicated.current (table_name, snapshot, physical, rows, bytes, as_of)"
        " VALUES (%s, %s, %s, %s, 0, %s)",
        (table, snapshot, physical, ROWS, datetime.now(UTC)),
    )
    connection.execute(
        "INSERT INTO replicated.physical_table (physical, table_name, snapshot) VALUES (%s, %s, %s)",
        (physical, table, snapshot),
    )
