"""What DuckDB sorts and compares otherwise than the service, which has texts and their bytes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import ColumnTypesError
from tests.engine.warehouse.test_warehouse import read

TABLES = """CREATE TABLE odd (mood ENUM('z', 'A', 'a'), name VARCHAR COLLATE NOCASE, id UUID);
    INSERT INTO odd VALUES ('z', 'b', 'ffffffff-0000-0000-0000-000000000000'),
        ('a', 'B', '0e37df36-f698-11e6-8dd4-cb9ced3df976'), ('A', 'a', '00000000-0000-0000-0000-000000000000')"""


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    made.prepare(TABLES)
    return made


@pytest.mark.parametrize("column", ["mood", "name", "id"])
def test_a_key_that_is_read_as_a_text_is_in_the_order_of_its_bytes(
    warehouse: DuckDBWarehouse, tmp_path: Path, column: str
) -> None:
    with warehouse.batches(f"SELECT {column}, 1 AS x FROM odd", key=(column,)) as batches:
        stored = SnapshotStore(str(tmp_path)).write("t", batches, Recipe("", (column,)), as_of=datetime.now(UTC))
    found = [str(row[column]) for row in stored.batches().read_all().to_pylist()]
    assert len(found) == 3
    assert found == sorted(found, key=str.encode)


def test_rows_that_are_stored_in_the_order_of_an_enumeration_or_a_collation_are_sorted(
    warehouse: DuckDBWarehouse,
) -> None:
    for column in ("mood", "name"):
        warehouse.prepare(f"CREATE OR REPLACE TABLE kept AS SELECT * FROM odd ORDER BY {column}")
        found = read(warehouse, "SELECT * FROM kept", key=(column,)).column(column).to_pylist()
        assert found == sorted(found, key=str.encode) != []


@pytest.mark.parametrize(
    ("column", "asked", "joined"),
    [
        ("name", "b", 1),
        ("name", "A", 0),
        ("mood", "a", 1),
        ("mood", "happy", 0),
        ("id", "0e37df36-f698-11e6-8dd4-cb9ced3df976", 1),
        ("id", "0E37DF36-F698-11E6-8DD4-CB9CED3DF976", 0),
        ("id", "none", 0),
    ],
)
def test_joins_compare_what_the_service_compares(
    warehouse: DuckDBWarehouse, column: str, asked: str, joined: int
) -> None:
    known = warehouse.natural(f"SELECT {column} AS k FROM odd")
    query = f"SELECT 1 AS n FROM ({known}) AS known JOIN (SELECT '{asked}' AS k) AS asked ON known.k = asked.k"
    assert read(warehouse, query).num_rows == joined


def test_a_query_whose_types_are_compared_so_is_joined_as_it_is(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.natural("SELECT 1 AS n WHERE 1 = :n", {"n": 1}) == "SELECT 1 AS n WHERE 1 = :n"


def test_whole_numbers_that_arrow_would_wrap_are_refused(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(ColumnTypesError, match=r"x: UHUGEINT"):
        read(warehouse, "SELECT 340282366920938463463374607431768211455::UHUGEINT AS x")
