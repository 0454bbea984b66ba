"""Preparations, ages of lookups and features of times, from three warehouses with rows in types of their own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.testing import System
from tests.engine.projects import write_project
from tests.engine.scaffold.native import LINES, Rows, Types, Warehouses, made_alike, written
from tests.engine.scaffold.test_new import Shop

CONTRACT = '''"""What is asked about an account."""

from datetime import datetime, timedelta

import msgspec
import numpy as np

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    region: str
    account: int
    asked_at: datetime
    amount: float | None = None


def compute(columns):
    age = (columns["asked_at"] - columns["total.newest"]) / np.timedelta64(1, "s")
    return {name: columns[name] for name in NAMES} | {"age": age}


NAMES = ("amount", "seen.score", "seen.word", "last.score", "total.orders", "total.spent", "place.rank")
KINDS = {"seen.word": "text"}
CONTRACT = Contract(
    model="pays", purpose="A test.", request=Ask, entity=("region", "account"),
    lookups=(
        Lookup("seen", "scores", {"region": "region", "account": "account"},
               (Column("score", "number"), Column("word", "text")), as_of=("since", "asked_at"),
               max_age=timedelta(hours=5)),
        Lookup("last", "scores", {"region": "region", "account": "account"},
               (Column("score", "number"),), as_of=("since", "asked_at")),
        Lookup("total", "totals", {"region": "region", "account": "account"},
               (Column("orders", "number"), Column("spent", "number"), Column("newest", "time"))),
        Lookup("place", "ranks", {"region": "region"}, (Column("rank", "number"),)),
    ),
    features=tuple(Feature(name, KINDS.get(name, "number")) for name in (*NAMES, "age")),
    compute=compute,
    output=Output("pays", "classifier", classes=("no", "yes")),
)
'''
DECLARATIONS = '''"""What is declared."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from model_tools.pays import CONTRACT
from penstock.declare.model import GateRule, Model
from penstock.declare.preparation import Preparation
from penstock.declare.table import ReplicatedTable

SOURCES = {"orders": "The orders.", "scores": "The scores."}
PREPARATIONS = (
    Preparation(
        "totals",
        query="""SELECT region, account, count(*) AS orders, CAST(sum(price) AS numeric(18,2)) AS spent,
            max(asked_at) AS newest FROM orders WHERE price IS NOT NULL GROUP BY region, account""",
        reads=("orders",), unique=("region", "account"), not_null=("region", "account"),
        version_query="SELECT count(*) AS n FROM orders",
    ),
    Preparation(
        "ranks",
        query="""SELECT region, spent, row_number() OVER (ORDER BY spent DESC, region) AS rank FROM (
            SELECT region, CAST(sum(spent) AS numeric(18,2)) AS spent FROM prepared.totals GROUP BY region) AS t""",
        reads=("prepared/totals",), unique=("region",), version_query="SELECT 1 AS one",
    ),
)
TABLES = (
    ReplicatedTable("scores", "SELECT region, account, since, score, word FROM scores", ("region", "account", "since"),
                    after=("warehouse/scores",)),
    ReplicatedTable("totals", "SELECT region, account, orders, spent, newest FROM prepared.totals",
                    ("region", "account"), after=("prepared/totals",)),
    ReplicatedTable("ranks", "SELECT region, rank, spent FROM prepared.ranks", ("region",), after=("prepared/ranks",)),
)


def estimator():
    from sklearn.ensemble import HistGradientBoostingClassifier
    return HistGradientBoostingClassifier(max_iter=20, random_state=7)


MODEL = Model(
    contract=CONTRACT,
    query="""SELECT region, account, asked_at, amount, CASE WHEN paid THEN 'yes' ELSE 'no' END AS pays FROM orders
        WHERE asked_at >= :from AND asked_at < :until AND NOT (word LIKE 'x%' AND price < 3.5)""",
    estimator=estimator, gate=GateRule(metric="roc_auc", floor=0.1), every="week", window=2, first_period="2026-W37",
    reads=("orders",),
    requests_query="""SELECT region, account, asked_at, amount FROM orders
        WHERE amount > 2.5 ORDER BY asked_at DESC, region, account LIMIT :count""",
)
'''
ORDERS: Types = {
    "region": ("VARCHAR", 'text COLLATE "ucs_basic"', "String"),
    "account": ("INTEGER", "integer", "Int32"),
    "asked_at": ("TIMESTAMPTZ", "timestamptz", "DateTime64(6, 'America/New_York')"),
    "amount": ("DOUBLE", "double precision", "Nullable(Float64)"),
    "price": ("DECIMAL(12,2)", "numeric(12,2)", "Nullable(Decimal(12,2))"),
    "word": ("VARCHAR", "varchar(30)", "Nullable(String)"),
    "paid": ("BOOLEAN", "boolean", "Bool"),
}
SCORES: Types = {
    "region": ("VARCHAR", 'varchar(9) COLLATE "pg_c_utf8"', "LowCardinality(String) NOT NULL"),
    "account": ("INTEGER", "integer", "Int32"),
    "since": ("TIMESTAMPTZ", "timestamptz", "DateTime64(6, 'UTC')"),
    "score": ("FLOAT", "real", "Nullable(Float32)"),
    "word": ("VARCHAR", "text", "Nullable(String)"),
}
HOUR = timedelta(hours=1)


def orders() -> Rows:
    first = datetime(2026, 8, 24, tzinfo=UTC)
    return written(
        [
            {
                "region": LINES[n % len(LINES)],
                "account": n % 60,
                "asked_at": first + (n // 6) * HOUR,
                "amount": None if n % 13 == 1 else n % 100 / 8,
                "price": None if n % 10 == 7 else Decimal(n * 7919 % 9999).scaleb(-2),
                "word": None if n % 6 == 5 else ("x", "xy", "Xy", "", " x")[n % 5],
                "paid": n * 7919 % 1000 + 300 * (n % 3 == 0) > 600,
            }
            for n in range(4_000)
        ]
    )


def scores() -> Rows:
    first = datetime(2026, 8, 23, tzinfo=UTC)
    return written(
        [
            {
                "region": LINES[n % len(LINES)],
                "account": n % 60,
                "since": first + n // 660 * 55 * HOUR + (n % 3 - 1) * timedelta(microseconds=1),
                "score": None if n % 7 == 3 else (0.1, 1e-40, 3.25)[n % 3] * (n % 50),
                "word": None if n % 8 == 3 else LINES[n * 3 % len(LINES)],
            }
            for n in range(660 * 12)
        ]
    )


@pytest.mark.usefixtures("slow")
def test_preparations_and_ages_of_lookups(system: System, tmp_path: Path, new_database: Callable[[], str]) -> None:
    warehouses = Warehouses(system, tmp_path, new_database)
    warehouses.write("orders", ORDERS, orders())
    warehouses.write("scores", SCORES, scores())
    shop = Shop(tmp_path / "shop", system)
    write_project(shop.root, {"model_tools/pays.py": CONTRACT, "assets/pays.py": DECLARATIONS})
    made_alike(shop, warehouses.urls, tmp_path, "pays", ("scores", "totals", "ranks"))
