"""Snowflake as fakesnow has it: the vendor's connector over a DuckDB. Its Arrow batches are made here."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fakesnow
import pyarrow as pa
import pytest
from fakesnow.cursor import FakeSnowflakeCursor

from penstock.settings import Settings
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.catalog import tables
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import ColumnTypesError, Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.snowflake import PARAMETERS, SnowflakeWarehouse
from tests.engine.warehouse.test_warehouse import read

SECRET = "hunter2"
URL = f"snowflake://me:{SECRET}@account/shop/public?warehouse=small&role=reader"
ROWS = """CREATE TABLE numbers AS SELECT CAST(v AS INT) AS n, 'a' || v AS k, CAST(v / 8 AS NUMBER(12, 3)) AS amount,
    CAST(v / 7 AS DOUBLE) AS share, '2026-03-29 01:30:00 +0000'::TIMESTAMP_TZ AS seen,
    '2026-03-29 02:30:00'::TIMESTAMP_NTZ AS local, '2026-03-29'::DATE AS day, v > 3 AS late
    FROM (SELECT column1 AS v FROM (VALUES (1), (2), (3), (4), (5)))"""
LOCAL = """CREATE TABLE numbers AS SELECT CAST(v AS BIGINT) AS n, 'a' || v AS k,
    CAST(v / 8 AS DECIMAL(12, 3)) AS amount, CAST(v / 7 AS DOUBLE) AS share,
    TIMESTAMPTZ '2026-03-29 01:30:00+00' AS seen, TIMESTAMP '2026-03-29 02:30:00' AS local,
    DATE '2026-03-29' AS day, v > 3 AS late
    FROM (VALUES (1), (2), (3), (4), (5)) AS t (v)"""
QUERY = "SELECT n, k, amount, share, seen, local, day, late FROM numbers"


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    def batches(self: Any) -> Iterator[pa.Table]:
        yield self._arrow_table

    monkeypatch.setattr(FakeSnowflakeCursor, "fetch_arrow_batches", batches, raising=False)
    with fakesnow.patch():
        yield open_warehouse(Settings(home=tmp_path, warehouse_url=URL))


def test_the_same_rows_make_the_snapshot_that_duckdb_makes(warehouse: Warehouse, tmp_path: Path) -> None:
    local = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    warehouse.prepare(ROWS)
    local.prepare(LOCAL)
    store, made = SnapshotStore(str(tmp_path / "store")), []
    for source in (warehouse, local):
        with source.batches(QUERY, key=("k",)) as batches:
            made.append(store.write("t", batches, Recipe(QUERY, ("k",)), as_of=datetime.now(UTC)))
    assert made[0].manifest.columns == made[1].manifest.columns
    assert made[0].rows == 5
    assert made[0].id == made[1].id


def test_values_are_bound_and_an_empty_result_has_types(warehouse: Warehouse) -> None:
    warehouse.prepare(ROWS)
    query = f"SELECT * FROM ({QUERY}) AS q WHERE k = :k AND seen = :seen AND n < :n"
    bound = {"k": "a1", "seen": datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "n": 5}
    assert read(warehouse, query, bound).column("n").to_pylist() == [1]
    empty = read(warehouse, query, bound | {"k": "a' OR '1'='1"})
    assert (empty.num_rows, empty.schema.field("amount").type) == (0, pa.decimal128(12, 3))
    assert ("PUBLIC", "NUMBERS") in tables(warehouse)


def test_faults_are_the_servers_own_words_and_tell_no_secret(warehouse: Warehouse) -> None:
    for query, said in (("SELECT * FROM nowhere", "NOWHERE"), ("SELECT 1 AS a, PARSE_JSON('{}') AS b", "'b'")):
        with pytest.raises(WarehouseError, match=said) as refused:
            read(warehouse, query)
        assert SECRET not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(ColumnTypesError, match="b: VARIANT"):
        warehouse.natural("SELECT 1 AS a, PARSE_JSON('{}') AS b")


def test_the_connector_is_told_what_the_url_says() -> None:
    told = SnowflakeWarehouse(URL).options()
    assert {
        name: told[name] for name in ("user", "password", "account", "database", "schema", "warehouse", "role")
    } == {
        "user": "me",
        "password": SECRET,
        "account": "account",
        "database": "shop",
        "schema": "public",
        "warehouse": "small",
        "role": "reader",
    }
    assert told["session_parameters"] is PARAMETERS
    assert PARAMETERS["TIMEZONE"] == "UTC"
