"""What is sent to a Redshift: it runs in a Postgres, and holds nothing that Redshift's documentation refuses."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from penstock.settings import Settings
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import BATCH_ROWS, ColumnTypesError, Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.redshift import RedshiftWarehouse, unload_statement
from penstock.warehouse.url import WarehouseUrl
from tests.engine.warehouse.test_warehouse import read

REFUSED = (exp.Lateral, exp.Collate, exp.Array, exp.Any, exp.Filter, exp.Copy)
"""https://docs.aws.amazon.com/redshift/latest/dg/c_redshift-and-postgres-sql.html and the pages below it."""
NAMES = {"typcategory", "typtype", "client_connection_check_interval", "enable_nestloop", "lc_collate"}
"""Columns of catalogs and settings that Redshift does not have."""
ROWS = """SELECT n AS id, 'a' || n AS name, CAST(n AS varchar(9)) AS short, CAST('b ' AS char(4)) AS padded,
    CAST(n / 7.0 AS numeric(12, 3)) AS amount, n / 7.0e0 AS share, TIMESTAMPTZ '2026-03-29 02:30:00+01' AS at,
    DATE '2026-03-29' AS day, n % 2 = 0 AS even FROM numbers"""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that goes to the server."""
    heard: list[str] = []

    def listen(owner: Any) -> None:
        execute = owner.execute

        def recording(self: Any, statement: Any, *rest: Any, **more: Any) -> Any:
            heard.append(statement.decode() if isinstance(statement, bytes) else statement)
            return execute(self, statement, *rest, **more)

        monkeypatch.setattr(owner, "execute", recording)

    listen(psycopg.Connection)
    listen(adbc.Cursor)
    return heard


@pytest.fixture
def warehouse(new_database: Callable[[], str], sent: list[str]) -> Iterator[RedshiftWarehouse]:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT n FROM generate_series(1, 200000) AS n")
    sent.clear()
    yield RedshiftWarehouse(url)
    assert sent
    for statement in sent:
        demand_redshift(statement)


def demand_redshift(statement: str) -> None:
    _, declared, query = statement.partition("CURSOR FOR ")
    if statement.startswith(("FETCH", "SET ")):
        return
    tree = sqlglot.parse_one(query if declared else statement, dialect="redshift")
    found = [type(node).__name__ for kind in REFUSED for node in tree.find_all(kind)]
    found += [name for name in NAMES if name in statement]
    found += ["DISTINCT ON" for node in tree.find_all(exp.Distinct) if node.args.get("on")]
    assert found == [], statement


def test_the_check_finds_what_redshift_refuses() -> None:
    for statement in (
        "SELECT * FROM a, LATERAL (SELECT 1) b",
        "SELECT DISTINCT ON (x) x FROM t",
        'SELECT x FROM t ORDER BY x COLLATE "C"',
        "SELECT oid FROM pg_type WHERE oid = ANY(ARRAY[1])",
        "SELECT count(*) FILTER (WHERE x) FROM t",
    ):
        with pytest.raises(AssertionError):
            demand_redshift(statement)


@pytest.mark.slow
def test_rows_come_typed_in_batches_and_make_the_snapshot_that_duckdb_makes(
    warehouse: RedshiftWarehouse, tmp_path: Path
) -> None:
    local = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    local.prepare("CREATE TABLE numbers AS SELECT CAST(range AS INTEGER) AS n FROM range(1, 200001)")
    store, made = SnapshotStore(str(tmp_path / "store")), []
    sources: list[tuple[Warehouse, str]] = [(warehouse, ROWS), (local, ROWS.replace("'b '", "'b'"))]
    for source, query in sources:
        with source.batches(query, key=("name",)) as batches:
            made.append(store.write("numbers", batches, Recipe(query, ("name",)), as_of=datetime.now(UTC)))
    assert made[0].rows == 200_000
    assert made[0].id == made[1].id
    with warehouse.batches(ROWS) as batches:
        assert max(batch.num_rows for batch in batches) <= BATCH_ROWS


def test_an_empty_result_has_its_types_and_values_are_bound(warehouse: RedshiftWarehouse) -> None:
    query = f"SELECT * FROM ({ROWS}) AS r WHERE at = :at AND name = :name"
    empty = read(warehouse, query, {"at": datetime(2026, 1, 1, tzinfo=UTC), "name": "a' OR '1'='1"})
    assert (empty.num_rows, empty.schema.field("amount").type) == (0, pa.decimal128(12, 3))
    assert read(warehouse, query, {"at": datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "name": "a7"}).num_rows == 1


def test_types_that_nothing_holds_and_wrong_queries_are_refused(warehouse: RedshiftWarehouse) -> None:
    with pytest.raises(ColumnTypesError, match="b: interval"):
        read(warehouse, "SELECT 1 AS a, interval '1 day' AS b")
    with pytest.raises(WarehouseError, match="nowhere"):
        read(warehouse, "SELECT * FROM nowhere")


def test_instants_are_those_of_utc_in_queries_and_preparations(warehouse: RedshiftWarehouse) -> None:
    warehouse.prepare("CREATE TABLE made AS SELECT current_setting('TimeZone') AS zone")
    assert read(warehouse, "SELECT zone, current_setting('TimeZone') AS now FROM made").to_pylist() == [
        {"zone": "UTC", "now": "UTC"}
    ]


def test_a_backslash_is_doubled_where_the_query_is_itself_a_text() -> None:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_QUOTE_LITERAL.html doubles both."""
    said = unload_statement(r"SELECT '\d' AS x", [], "s3://bucket/it's", r"arn:\x")
    assert r"SELECT ''\\d'' AS x" in said
    assert r"TO 's3://bucket/it''s/' IAM_ROLE 'arn:\\x'" in said


def test_the_url_chooses_it_with_its_own_port(tmp_path: Path) -> None:
    url = "redshift+psycopg2://me:secret@cluster/db"
    opened = open_warehouse(Settings(home=tmp_path, warehouse_url=url))
    assert isinstance(opened, RedshiftWarehouse)
    assert opened.dialect == "redshift"
    assert WarehouseUrl.parse(url).libpq()["port"] == "5439"
