"""Kinds that cannot run here: what they are sent is parsed in their dialect, and its transpiled form runs in DuckDB."""

import re
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest

from penstock.errors import ContractError
from penstock.rows.types import postgres_columns, stored_schema
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse import bigquery, databricks, snowflake, trino
from penstock.warehouse.backticks import backticked
from penstock.warehouse.column import Column
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.estimate import estimate
from penstock.warehouse.interface import ColumnTypesError, Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from tests.checkout import ROOT
from tests.engine.extract.test_as_of_forms import random_pair
from tests.engine.warehouse.test_warehouse import read
from tests.engine.warehouse.transpiled import Cursor, Engine, Job, modules, transpiled
from tests.engine.warehouse.type_table import FURTHER, FURTHER_KINDS, further_table
from tests.slow import slow_after

pytestmark = pytest.mark.slow

SECRET = "hunter2"
URLS = {
    "trino": f"trino://me:{SECRET}@host:8443/catalog/schema",
    "databricks": f"databricks://token:{SECRET}@host?http_path=/sql/1.0/warehouses/a&catalog=c",
    "bigquery": "bigquery://project/data?location=EU&maximum_bytes_billed=1000000",
}
EXTRAS = {**URLS, "snowflake": f"snowflake://me:{SECRET}@account/database/schema?warehouse=w"}
DRIVERS = {
    "trino": "trino.dbapi",
    "databricks": "databricks.sql",
    "bigquery": "google.cloud.bigquery",
    "snowflake": "snowflake.connector",
}
NAMES = ("k", "n", "x", "seen", "local", "day", "even")
ROWS = """CREATE TABLE numbers AS SELECT 'a''' || n AS k, CAST(n AS BIGINT) AS n, n / 7.0e0 AS x,
    TIMESTAMPTZ '2026-03-29 02:30:00+01' + to_hours(CAST(n AS BIGINT)) AS seen,
    TIMESTAMP '2026-03-29 02:30:00' AS local, DATE '2026-03-29' AS day,
    CASE WHEN n % 3 <> 0 THEN n % 2 = 0 END AS even FROM range(1000) AS r(n)"""


@pytest.fixture(params=sorted(URLS))
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(ROWS)
    made = Engine(request.param, connection)
    for name, module in modules(made).items():
        monkeypatch.setitem(sys.modules, name, module)
    return made


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Warehouse:
    return open_warehouse(Settings(home=tmp_path, warehouse_url=URLS[engine.dialect]))


def test_the_same_rows_make_the_snapshot_that_duckdb_makes(
    warehouse: Warehouse, engine: Engine, tmp_path: Path
) -> None:
    local = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    local.prepare(ROWS)
    store, made = SnapshotStore(str(tmp_path / "store")), []
    query = f"SELECT {', '.join(NAMES)} FROM numbers; -- all"
    for source in (warehouse, local):
        with source.batches(query, key=("k",)) as batches:
            made.append(store.write("t", batches, Recipe(query, ("k",)), as_of=datetime.now(UTC)))
    assert made[0].rows == 1000
    assert made[0].id == made[1].id
    assert len(engine.heard) == 2


def test_values_are_literals_of_the_dialect(warehouse: Warehouse) -> None:
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    query = """SELECT n, ':k' AS "a.b" FROM numbers WHERE k = :k AND seen = :at AND local = :local AND day = :day
        AND x < :x AND n < :n AND even IS NULL"""
    bound = {"k": "a'0", "at": at, "local": datetime(2026, 3, 29, 2, 30), "day": date(2026, 3, 29), "x": 0.5, "n": 5}
    assert read(warehouse, query, bound).to_pylist() == [{"n": 0, "a.b": ":k"}]
    assert read(warehouse, query, bound | {"at": at + timedelta(microseconds=1)}).num_rows == 0
    assert read(warehouse, "SELECT n FROM numbers WHERE x < :x", {"x": Decimal("0.1")}).num_rows == 1
    with pytest.raises(WarehouseError, match="a value that is bound"):
        read(warehouse, query, bound | {"x": float("nan")})


def test_preparations_run_and_faults_are_the_servers_own_words(warehouse: Warehouse) -> None:
    warehouse.prepare("CREATE TABLE made AS SELECT 1 AS x; CREATE TABLE made_again AS SELECT x + 1 AS x FROM made;")
    with pytest.raises(WarehouseError, match="nowhere"):
        read(warehouse, "SELECT * FROM nowhere")


def test_what_a_query_costs_is_said_before_it_runs(warehouse: Warehouse, engine: Engine) -> None:
    said = estimate(warehouse, "SELECT n FROM numbers", key=("n",))
    assert said.sorts == "in the warehouse"
    assert said.cost == ("1,234,567 bytes read" if engine.dialect == "bigquery" else "")
    assert "nowhere" in estimate(warehouse, "SELECT * FROM nowhere").unknown


def test_a_query_is_cancelled_in_the_server_after_its_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled, run = Event(), Engine.run

    def slow(self: Engine, statement: str) -> Any:
        found = run(self, statement)
        if "ORDER BY" in statement:
            assert cancelled.wait(20)
            raise duckdb.InterruptException("cancelled")
        return found

    monkeypatch.setattr(Engine, "run", slow)
    for owner in (Cursor, Job):
        monkeypatch.setattr(owner, "cancel", lambda self: cancelled.set())
    brief = open_warehouse(Settings(home=tmp_path, warehouse_url=URLS[engine.dialect], warehouse_timeout=1))
    with pytest.raises(WarehouseError, match="expected to end within 1 s"):
        read(brief, "SELECT n FROM numbers", key=("n",))
    assert cancelled.is_set()


@pytest.mark.parametrize("dialect", slow_after(1, ["trino", "databricks", "bigquery", "snowflake"]))
def test_the_point_in_time_join_finds_what_python_finds(dialect: str) -> None:
    connection, found, refused = duckdb.connect(), 0, 0
    connection.execute("SET TimeZone = 'UTC'")
    for seed in range(60):
        pair = random_pair(Random(seed))
        sources = dict(zip(("asked", "known"), _tables(pair), strict=True))
        for name, rows in sources.items():
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {rows}")
        try:
            query = pair.query(dialect, lambda rows, names, types: "SELECT * FROM " + _named(names))
        except ContractError:
            refused += 1
            continue
        sent = backticked(query, dots=dialect != "bigquery") if dialect in ("databricks", "bigquery") else query
        assert connection.execute(transpiled(sent, dialect)).fetchall() == pair.expected(), seed
        found += 1
    assert found > 30
    assert (refused > 0) == (dialect == "trino")


def _named(names: Any) -> str:
    return "asked" if names[0] == "id" else "known"


def _tables(pair: Any) -> list[str]:
    """The queries of both tables of the pair."""
    made: list[str] = []

    def note(rows: Any, names: Any, types: Any) -> str:
        from tests.engine.extract.test_as_of_forms import one_list

        made.append(one_list(rows, names, types).removesuffix(";"))
        return made[-1]

    pair.query("duckdb", note)
    return made


def described(kind: str, name: str) -> Column | None:
    """The column of a type of a kind, as its driver describes it."""
    if kind == "Trino":
        return trino.column("x", name)
    if kind == "Databricks":
        return databricks.column("x", name)
    if kind == "BigQuery":
        return bigquery.column("x", name, "NULLABLE")
    if number := re.fullmatch(r"NUMBER\((\d+),(\d+)\)", name):
        return snowflake.column("x", snowflake.NUMBER, int(number[1]), int(number[2]))
    code = next(code for code, (known, _, _) in snowflake.CODES.items() if known == name)
    return snowflake.column("x", code, None, None)


@pytest.mark.parametrize(("book", "kinds"), FURTHER, ids=lambda value: value if isinstance(value, str) else "")
def test_every_type_of_the_docs_becomes_that_of_the_book(book: str, kinds: tuple[str, ...]) -> None:
    listed = [
        (name, described(kind, name))
        for kind, names in zip(FURTHER_KINDS, kinds, strict=True)
        for name in (re.split(r", (?!\d)", names) if names else ())
    ]
    assert len(listed) > 1
    for name, column in listed:
        assert column is not None, name
        stored = stored_schema(pa.schema([pa.field("x", column.type)]), "t")
        assert postgres_columns(stored) == (("x", book),), name


def test_the_second_table_of_the_docs_is_that_of_the_tests() -> None:
    assert further_table() in (ROOT / "docs" / "warehouses.md").read_text()


def test_types_are_those_that_the_server_describes() -> None:
    kept = [
        (trino.column("x", "decimal(12,3)"), pa.decimal128(12, 3)),
        (trino.column("x", "varchar(9)"), pa.string()),
        (trino.column("x", "timestamp(3) with time zone"), pa.timestamp("us", "UTC")),
        (databricks.column("x", "DECIMAL(12,3)"), pa.decimal128(12, 3)),
        (databricks.column("x", "string collate UNICODE"), pa.string()),
        (databricks.column("x", "timestamp"), pa.timestamp("us", "UTC")),
        (bigquery.column("x", "FLOAT64", "NULLABLE"), pa.float64()),
        (bigquery.column("x", "NUMERIC", "REQUIRED"), pa.decimal128(38, 9)),
        (snowflake.column("x", 0, 38, 0), pa.int64()),
        (snowflake.column("x", 0, 9, 0), pa.int32()),
        (snowflake.column("x", 0, 12, 3), pa.decimal128(12, 3)),
        (snowflake.column("x", 7, None, 9), pa.timestamp("us", "UTC")),
    ]
    assert len(kept) > 10
    for column, kind in kept:
        assert column is not None
        assert column.type == kind
    refused = [
        *(trino.column("x", kind) for kind in ("array(integer)", "json", "timestamp(9)", "interval day to second")),
        *(databricks.column("x", kind) for kind in ("array<int>", "map<string,int>", "void", "variant")),
        *(bigquery.column("x", kind, "NULLABLE") for kind in ("JSON", "RECORD", "GEOGRAPHY", "INTERVAL")),
        bigquery.column("x", "INTEGER", "REPEATED"),
        *(snowflake.column("x", code, None, None) for code in (5, 9, 10, 14, 99)),
    ]
    assert refused == [None] * 18


def test_a_type_that_nothing_holds_is_refused_by_its_column(warehouse: Warehouse, monkeypatch: Any) -> None:
    monkeypatch.setattr(Engine, "described", lambda self, relation: [("a", "map"), ("b", "map")])
    with pytest.raises(ColumnTypesError, match=r"columns 'a', 'b'.* a: .*map"):
        read(warehouse, "SELECT 1 AS a, 2 AS b")


@pytest.mark.parametrize("kind", sorted(DRIVERS))
def test_a_missing_driver_is_one_sentence_without_a_secret(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, DRIVERS[kind], None)
    with pytest.raises(WarehouseError, match=rf"pip install 'penstock\[{kind}\]'") as refused:
        open_warehouse(Settings(home=tmp_path, warehouse_url=EXTRAS[kind]))
    assert SECRET not in str(refused.value)


def test_names_and_texts_between_backticks() -> None:
    assert backticked('SELECT "a.b", "c""d", \'it\'\'s "x"\' FROM t -- "e"', dots=False) == (
        'SELECT `a__penstock_dot__b`, `c"d`, \'it\\\'s "x"\' FROM t -- "e"'
    )


def test_an_age_that_trino_cannot_tell_is_refused_by_its_lookup() -> None:
    pair = random_pair(Random(1))
    lookup = msgspec.structs.replace(pair.lookup, max_age=timedelta(microseconds=1))
    other = type(pair)(pair.keys, pair.instant, pair.asked, pair.known, lookup)
    with pytest.raises(ContractError, match="max_age of lookup 'l': expected whole milliseconds"):
        other.query("trino")
