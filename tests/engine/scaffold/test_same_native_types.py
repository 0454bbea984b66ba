"""Further projects for DuckDB, pointed at a Postgres and at a ClickHouse with the same rows in types of their own."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from penstock.testing import System
from tests.engine.projects import write_project
from tests.engine.scaffold.native import Rows, Types, Warehouses
from tests.engine.scaffold.test_new import Shop
from tests.engine.scaffold.test_same_everywhere import Products

LINES = ("a", "B", "ä", "Z", "_", "a ", "É", "ß", "日本", "A'b\"c\\d", "%x")
MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')"


def made_alike(shop: Shop, urls: dict[str, str], folder: Path, model: str, published: tuple[str, ...]) -> Any:
    made = {kind: Products(shop, folder / f"store of {kind}", url, model, published) for kind, url in urls.items()}
    first = made["duckdb"]
    assert len(first.snapshots) == len(published) + 2
    for other in (made["postgres"], made["clickhouse"]):
        assert other.snapshots == first.snapshots
        assert other.artifact == first.artifact
        assert other.requests == first.requests
    return first


def written(rows: list[dict[str, Any]]) -> Rows:
    return [{name: None if value is None else _text(value) for name, value in row.items()} for row in rows]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


TRIPS: Types = {
    "line": ("VARCHAR", "varchar(20)", "Nullable(String)"),
    "stop": ("SMALLINT", "smallint", "Nullable(Int16)"),
    "left at": ("TIMESTAMP", "timestamp", "Nullable(DateTime64(6))"),
    "fare": ("DECIMAL(20,7)", "numeric(20,7)", "Nullable(Decimal(20,7))"),
    "ratio": ("FLOAT", "real", "Nullable(Float32)"),
    "ticket": ("UUID", "uuid", "Nullable(UUID)"),
    "zone": ("VARCHAR", "char(3)", "Nullable(FixedString(4))"),
    "mood": ("mood", "mood", "Nullable(Enum('sad', 'ok', 'glad'))"),
    "opens": ("TIME", "time", "Nullable(Time64(6))"),
    "sold": ("TIMESTAMPTZ", "timestamptz", "Nullable(DateTime64(6, 'Asia/Kathmandu'))"),
    "day": ("DATE", "date", "Nullable(Date32)"),
    "seats": ("BIGINT", "bigint", "Nullable(Int64)"),
    "express": ("BOOLEAN", "boolean", "Nullable(Bool)"),
    "late": ("DOUBLE", "double precision", "Nullable(Float64)"),
}


def trips() -> Rows:
    first = datetime(2026, 10, 20, 23, 59, 59, 999_999)
    return written(
        [
            {
                "line": LINES[n % len(LINES)],
                "stop": n % 23 - 11,
                "left at": first + timedelta(minutes=11 * (n // 2)),
                "fare": None if n % 9 == 4 else Decimal(n * 7919 % 99_999).scaleb(-7),
                "ratio": (0.1, -0.0, 1e-40, 3.5)[n % 4],
                "ticket": UUID(int=n % 7),
                "zone": ("A", "B1", None, "äb")[n % 4],
                "mood": ("sad", "ok", None, "glad")[n * 7 % 4],
                "opens": None if n % 8 == 1 else time(n % 24, n % 60, n % 60, n),
                "sold": datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(minutes=7 * (n % 60)),
                "day": None if n % 15 == 2 else date(1969, 12, 30) + timedelta(days=n % 9 * 1000),
                "seats": 2**53 + n % 5,
                "express": None if n % 21 == 3 else n % 3 == 0,
                "late": (n * 7919 % 1000) / 50 + 50 * (n % 3 == 0),
            }
            for n in range(3_000)
        ]
    )


PLACES: Types = {
    "line": ("VARCHAR", "text", "Nullable(String)"),
    "stop": ("INTEGER", "integer", "Nullable(Int32)"),
    "known": ("DATE", "date", "Nullable(Date32)"),
    "height": ("DECIMAL(9,3)", "numeric(9,3)", "Nullable(Decimal(9,3))"),
    "kind": ("mood", "mood", "Nullable(Enum('sad', 'ok', 'glad'))"),
}


def places() -> Rows:
    return written(
        [
            {
                "line": LINES[n % len(LINES)],
                "stop": n % 23 - 11,
                "known": date(2026, 10, 15) + timedelta(days=n // 253 * 3),
                "height": None if n % 6 == 0 else Decimal(n * 31 % 9_999).scaleb(-3),
                "kind": ("sad", "ok", None, "glad")[n * 3 % 4],
            }
            for n in range(253 * 5)
        ]
    )


ZONES: Types = {
    "zone": ("VARCHAR", "varchar", "Nullable(String)"),
    "since": ("TIMESTAMP", "timestamp", "Nullable(DateTime64(6))"),
    "share": ("DOUBLE", "numeric", "Nullable(Float64)"),
    "night": ("TIME", "time", "Nullable(Time64(6))"),
    "code": ("UUID", "uuid", "Nullable(UUID)"),
}


def zones() -> Rows:
    return written(
        [
            {
                "zone": ("A", "B1", "äb")[n % 3],
                "since": datetime(2026, 10, 24, 23, 30) + timedelta(minutes=n * 31),
                "share": n / 8,
                "night": time(n % 24, 30),
                "code": UUID(int=n % 4 * 7919),
            }
            for n in range(300)
        ]
    )


@pytest.mark.usefixtures("slow")
def test_native_types_local_times_and_a_model_of_each_day(
    system: System, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    warehouses = Warehouses(system, tmp_path, new_database, before=MOOD)
    warehouses.write("trips", TRIPS, trips())
    warehouses.write("places", PLACES, places())
    warehouses.write("zones", ZONES, zones())
    shop = Shop(tmp_path / "shop", system)
    options = ["--from", "trips", "--outcome", "late", "--key", "line,stop", "--asked-at", "left at"]
    options += ["--every", "day", "--zone", "Europe/Berlin", "--lookup", "places:line,stop@known"]
    assert shop.new("late", *options, "--lookup", "zones:zone@since").returncode == 0
    made_alike(shop, warehouses.urls, tmp_path, "late", ("places", "zones"))


CONTRACT = '''"""What is asked about an account."""

from datetime import datetime, timedelta

import msgspec

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    region: str
    account: int
    asked_at: datetime
    amount: float | None = None


def compute(columns):
    return {name: columns[name] for name in NAMES}


NAMES = ("amount", "seen.score", "seen.word", "last.score", "total.orders", "total.spent", "total.newest", "place.rank")
KINDS = {"seen.word": "text", "total.newest": "time"}
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
    features=tuple(Feature(name, KINDS.get(name, "number")) for name in NAMES),
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
        WHERE amount > 2.5 ORDER BY asked_at DESC, region, account""",
)
'''
ORDERS: Types = {
    "region": ("VARCHAR", 'text COLLATE "ucs_basic"', "String"),
    "account": ("INTEGER", "bigint", "UInt32"),
    "asked_at": ("TIMESTAMPTZ", "timestamptz", "DateTime64(6, 'America/New_York')"),
    "amount": ("DOUBLE", "double precision", "Nullable(Float64)"),
    "price": ("DECIMAL(12,2)", "numeric(12,2)", "Nullable(Decimal(12,2))"),
    "word": ("VARCHAR", "varchar(30)", "Nullable(String)"),
    "paid": ("BOOLEAN", "boolean", "Bool"),
}
SCORES: Types = {
    "region": ("VARCHAR", 'varchar(9) COLLATE "pg_c_utf8"', "LowCardinality(String) NOT NULL"),
    "account": ("BIGINT", "integer", "Int64"),
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
