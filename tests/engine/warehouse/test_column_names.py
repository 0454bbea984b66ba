"""Two columns of one name are refused by that name: only one of them could be read, published or learned from."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import fakesnow
import pyarrow as pa
import pytest
from fakesnow.cursor import FakeSnowflakeCursor

from penstock.settings import Settings
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.estimate import estimate
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.redshift import RedshiftWarehouse
from tests.engine.warehouse.test_further_kinds import URLS
from tests.engine.warehouse.test_snowflake import URL as SNOWFLAKE
from tests.engine.warehouse.test_warehouse import read
from tests.engine.warehouse.transpiled import Engine, modules
from tests.slow import slow_after

KINDS = ("duckdb", "postgresql", "clickhouse", "redshift", "snowflake", "databricks")
CASE_MATTERS = ("postgresql", "clickhouse")
"""The kinds in which names between double quotes differ by case."""
JOINED = "SELECT a.*, b.* FROM (SELECT 1 AS id, 2 AS n) AS a CROSS JOIN (SELECT 3 AS id, 4 AS m) AS b"


@pytest.fixture(params=slow_after(2, KINDS))
def warehouse(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    kind = request.param
    if kind == "duckdb":
        made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
        made.prepare("CREATE TABLE empty (n INTEGER)")
        yield made
    elif kind == "clickhouse":
        (tmp_path / "chdb").mkdir()
        yield ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}")
    elif kind in ("postgresql", "redshift"):
        yield (PostgresWarehouse if kind == "postgresql" else RedshiftWarehouse)(new_database())
    elif kind == "snowflake":
        with fakesnow.patch():
            monkeypatch.setattr(FakeSnowflakeCursor, "fetch_arrow_batches", batches_of_fakesnow, raising=False)
            yield open_warehouse(Settings(home=tmp_path, warehouse_url=SNOWFLAKE))
    else:
        for name, module in modules(Engine(kind, duckdb.connect())).items():
            monkeypatch.setitem(sys.modules, name, module)
        yield open_warehouse(Settings(home=tmp_path, warehouse_url=URLS[kind]))


def batches_of_fakesnow(self: Any) -> Iterator[pa.Table]:
    yield self._arrow_table


@pytest.mark.parametrize("query", ["SELECT 1 AS id, 2 AS n, 3 AS id", JOINED])
def test_a_name_of_two_columns_is_refused(warehouse: Warehouse, query: str) -> None:
    for key in ((), ("n",)):
        with pytest.raises(WarehouseError, match=r"^query: .*\bid\b"):
            read(warehouse, query, key=key)
    with pytest.raises(WarehouseError, match=r"^query: .*\bid\b"):
        warehouse.natural(query)


def test_a_plan_says_that_the_query_is_refused(warehouse: Warehouse) -> None:
    for query, said in (("SELECT 1 AS id, 2 AS n, 3 AS id", r"\bid\b"), ("SELECT * FROM nowhere", "(?i)nowhere")):
        found = estimate(warehouse, query, key=("n",))
        assert found.rows is None
        assert re.search(said, found.unknown)
        assert not found.unknown.startswith("query:")
        assert not found.unknown.endswith(".")


def test_names_that_differ_by_case_alone_are_two_only_where_case_matters(warehouse: Warehouse) -> None:
    query = 'SELECT 1 AS "id", 2 AS "n", 3 AS "ID"'
    if warehouse.dialect in CASE_MATTERS:
        assert read(warehouse, query, key=("n",)).to_pylist() == [{"id": 1, "n": 2, "ID": 3}]
        return
    with pytest.raises(WarehouseError, match=r"^query: .*\bid\b"):
        read(warehouse, query, key=("n",))


@pytest.mark.parametrize("kind", ["trino", "bigquery"])
def test_names_are_those_that_the_server_describes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB, which is behind the drivers of the tests, renames the second column where it reads a part of a query."""
    for name, module in modules(Engine(kind, duckdb.connect())).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(Engine, "described", lambda self, relation: [("id", "map"), ("ID", "map")])
    with pytest.raises(WarehouseError, match=r"^query: .*found 'id' and 'ID'"):
        read(open_warehouse(Settings(home=tmp_path, warehouse_url=URLS[kind])), "SELECT 1 AS id, 2 AS n")


def test_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    made.prepare("CREATE TABLE empty (n INTEGER)")
    with pytest.raises(WarehouseError) as refused:
        read(made, "SELECT 1 AS id, 2 AS ID, 3 AS x, 4 AS x, 5 AS y")
    assert str(refused.value) == (
        "query: expected a name of its own for each column, whatever its case, found 'id' and 'ID', 'x' twice."
        " Give each a name by AS, or leave out what `*` selects twice."
    )


def test_a_name_that_clickhouse_gives_the_second_column_of_a_join_is_the_projects_only_between_quotes(
    tmp_path: Path,
) -> None:
    made = ClickHouseWarehouse(f"chdb://{tmp_path}")
    with pytest.raises(WarehouseError, match=r"found 'id' twice, which ClickHouse calls 'b\.id'"):
        read(made, JOINED)
    assert read(made, 'SELECT 1 AS id, 2 AS "b.id"').to_pylist() == [{"id": 1, "b.id": 2}]
