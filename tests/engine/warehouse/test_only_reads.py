"""Which queries may run twice in one, by what Postgres plans for them."""

from collections.abc import Callable

import psycopg
import pytest

from penstock.warehouse.estimate import estimate
from penstock.warehouse.postgres.warehouse import PostgresWarehouse

pytestmark = pytest.mark.slow

SCRIPT = """
CREATE TABLE t AS SELECT n AS id, n % 7 AS part, n::text AS name FROM generate_series(1, 20000) AS n;
CREATE INDEX ON t (id);
CREATE VIEW few AS SELECT * FROM t WHERE part = 3;
CREATE VIEW counted AS SELECT part, count(*) AS n FROM t GROUP BY part;
CREATE TABLE parted (id int, x int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
ANALYZE
"""
SCANS = (
    "SELECT * FROM t",
    "SELECT id, upper(name) AS name FROM t WHERE part > 2;",
    "SELECT * FROM t WHERE id = 5",
    "SELECT * FROM t WHERE id BETWEEN 5 AND 900 -- SubPlan",
    "SELECT * FROM few",
    "SELECT * FROM parted",
    "SELECT id FROM t UNION ALL SELECT part FROM t",
    "SELECT * FROM t WHERE id < :most",
)
OTHERS = (
    "SELECT * FROM counted",
    "SELECT DISTINCT part FROM t",
    "SELECT * FROM t LIMIT 5",
    "SELECT * FROM t TABLESAMPLE SYSTEM (10)",
    "SELECT a.* FROM t AS a JOIN t AS b ON a.id = b.part",
    "SELECT * FROM t WHERE id IN (SELECT part FROM t)",
    "SELECT *, (SELECT count(*) FROM parted WHERE parted.id = t.part) AS n FROM t",
    "SELECT *, (SELECT x FROM parted WHERE parted.id = t.part) AS n FROM t",
    "SELECT * FROM t WHERE part < (SELECT id FROM parted)",
    "SELECT *, row_number() OVER (ORDER BY id) AS n FROM t",
    "SELECT * FROM generate_series(1, 5) AS n",
    "SELECT * FROM nowhere",
)


@pytest.fixture
def warehouse(new_database: Callable[[], str]) -> PostgresWarehouse:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCRIPT.encode())
    return PostgresWarehouse(url)


def test_scans_may_run_twice(warehouse: PostgresWarehouse) -> None:
    assert {query for query in SCANS if estimate(warehouse, query, {"most": 900}).only_reads} == set(SCANS)


def test_what_costs_more_or_may_differ_runs_once(warehouse: PostgresWarehouse) -> None:
    assert {query for query in OTHERS if not estimate(warehouse, query).only_reads} == set(OTHERS)


def test_postgres_runs_a_query_with_a_volatile_function_once_whatever_it_is_told(warehouse: PostgresWarehouse) -> None:
    drawn = "WITH q AS NOT MATERIALIZED (SELECT id, random() AS x FROM t)"
    query = f"{drawn} SELECT a.x = b.x AS same FROM q AS a JOIN q AS b USING (id)"
    with warehouse.batches(query) as batches:
        same = batches.read_all().column("same").to_pylist()

    assert len(same) == 20_000
    assert all(same)
