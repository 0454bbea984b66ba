"""Types are what Postgres declares before the first row, never what the first rows look like."""

from collections.abc import Callable
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from penstock.warehouse.interface import BATCH_ROWS, WarehouseError
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.warehouse.test_warehouse import read

LATE = 3 * BATCH_ROWS
DECLARED = {
    "numeric(12, 3)": pa.decimal128(12, 3),
    "numeric(38, 10)": pa.decimal128(38, 10),
    "numeric(5, -2)": pa.decimal128(7, 0),
    "numeric(2, 5)": pa.decimal128(5, 5),
    "numeric": pa.float64(),
    "numeric(40, 2)": pa.float64(),
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "text": pa.string(),
    "varchar(7)": pa.string(),
    "char(7)": pa.string(),
    "uuid": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamp(0) with time zone": pa.timestamp("us", "UTC"),
}


@pytest.fixture
def warehouse(new_database: Callable[[], str]) -> PostgresWarehouse:
    return PostgresWarehouse(new_database())


@pytest.mark.parametrize("rows", [0, 1, LATE], ids=["no rows", "one null", "nulls first"])
def test_a_result_has_its_types_whatever_its_rows_hold(warehouse: PostgresWarehouse, rows: int) -> None:
    columns = ", ".join(f'NULL::{kind} AS "{kind}"' for kind in DECLARED)
    found = read(warehouse, f"SELECT {columns} FROM generate_series(1, {rows})")
    assert found.num_rows == rows
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == DECLARED


@pytest.mark.parametrize(
    ("kind", "late", "value"),
    [
        ("numeric(12, 3)", "123456789.123", Decimal("123456789.123")),
        ("numeric(30, 0)", "123456789012345678901234567890", Decimal("123456789012345678901234567890")),
        ("numeric", "1e300", 1e300),
        ("numeric", "0.1", 0.1),
        ("numeric(5, -2)", "9999900", Decimal("9999900")),
        ("numeric(2, 5)", "0.00099", Decimal("0.00099")),
    ],
)
@pytest.mark.parametrize("early", ["1", "NULL"])
def test_numbers_may_grow_after_the_first_rows(
    warehouse: PostgresWarehouse, kind: str, late: str, value: object, early: str
) -> None:
    early = "0.00001" if kind == "numeric(2, 5)" and early == "1" else early
    query = (
        f"SELECT (CASE n WHEN {LATE} THEN {late} ELSE {early} END)::{kind} AS x FROM generate_series(1, {LATE}) AS n"
    )
    whole = read(warehouse, query)
    start = read(warehouse, f"{query} LIMIT 5")
    assert whole.column("x")[LATE - 1].as_py() == value
    assert whole.schema == start.schema


def test_a_numeric_that_is_no_number_is_refused_by_name(warehouse: PostgresWarehouse) -> None:
    with pytest.raises(WarehouseError, match=r"column 'x': expected numbers of numeric\(5,2\), found NaN"):
        read(warehouse, "SELECT 'NaN'::numeric(5, 2) AS x")


def test_a_key_of_decimals_is_in_the_order_of_numbers(warehouse: PostgresWarehouse) -> None:
    query = "SELECT v::numeric(5, 1) AS x FROM (VALUES (10), (9), (-1), (100)) AS t (v)"
    assert read(warehouse, query, key=("x",)).column("x").to_pylist() == [-1, 9, 10, 100]


def test_text_is_the_same_in_a_database_of_another_encoding(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        other = PostgresWarehouse(postgres.replace("/postgres?", "/latin?"))
        assert read(other, "SELECT current_database() AS d, chr(233) AS x").to_pylist() == [{"d": "latin", "x": "é"}]
    finally:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("DROP DATABASE latin WITH (FORCE)")
