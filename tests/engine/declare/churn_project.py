"""A small project without a fault, to make one slip at a time in: a model, one lookup, and their two tables."""

from pathlib import Path

import duckdb

from tests.engine.projects import write_project

CONTRACT = '''"""What is asked."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

import msgspec
import numpy as np

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output


class Plan(Enum):
    BASIC = "basic"
    PRO = "pro"


class ChurnRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    account: int
    plan: str
    product: str
    asked_at: datetime | None = None


def features(columns):
    return {"plan": columns["plan"], "price": columns["product.price"]}


CONTRACT = Contract(
    model="churn",
    purpose="A test.",
    request=ChurnRequest,
    entity=("account",),
    lookups=(
        Lookup(
            name="product",
            table="products",
            key={"sku": "product"},
            columns=(Column("price", "number"),),
        ),
    ),
    features=(Feature("plan", "text"), Feature("price", "number")),
    compute=features,
    output=Output(name="churned", kind="classifier", classes=("no", "yes")),
)
'''
DECLARATIONS = '''"""What is declared."""

from datetime import timedelta

import pandera.pandas as pa
from sklearn.dummy import DummyClassifier, DummyRegressor

from model_tools.churn import CONTRACT
from penstock.declare.model import Bound, GateRule, Model
from penstock.declare.preparation import Preparation
from penstock.declare.table import ReplicatedTable

SOURCES = {"orders": "The orders.", "products": "The products."}

PREPARATIONS = ()

TABLES = (
    ReplicatedTable(
        "products",
        "SELECT sku, price FROM products",
        ("sku",),
        after=("warehouse/products",),
    ),
)

MODEL = Model(
    contract=CONTRACT,
    query="""SELECT account, plan, product, asked_at, churned FROM orders
        WHERE asked_at >= :from AND asked_at < :until""",
    outcome="churned",
    estimator=lambda: DummyClassifier(),
    gate=GateRule(metric="roc_auc", floor=0.4),
    reads=("orders",),
)
'''
ORDERS = """
    CREATE TABLE orders AS
    SELECT i AS account, ['basic', 'pro'][1 + i % 2] AS plan, 'p' || (i % 9) AS product, NULL::VARCHAR AS nobody,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (i) HOUR AS asked_at, ['no', 'yes'][1 + i % 2] AS churned,
        i * 1.5 AS weight
    FROM range(3000) t(i)
"""
PRODUCTS = "CREATE TABLE products AS SELECT 'p' || (i % 9) AS sku, i * 1.5 AS price FROM range({rows}) t(i)"


def write_churn(root: Path, change: tuple[str, str], *, products: int = 9) -> Path:
    """The project with one text replaced by another, in the only file that has it."""
    files = {"model_tools/churn.py": CONTRACT, "assets/churn.py": DECLARATIONS}
    old, new = change
    assert not old or sum(text.count(old) for text in files.values()) == 1, old
    root = write_project(root, {name: text.replace(old, new) if old else text for name, text in files.items()})
    (root / ".penstock").mkdir()
    with duckdb.connect(root / ".penstock" / "warehouse.duckdb") as warehouse:
        warehouse.execute(ORDERS)
        warehouse.execute(PRODUCTS.format(rows=products))
    return root
