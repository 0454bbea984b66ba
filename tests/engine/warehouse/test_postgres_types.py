"""A Postgres warehouse gives the values that a request and a book hold too, whatever its session or its types say."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from penstock.settings import Settings
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.warehouse.test_warehouse import read


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def warehouse(url: str) -> PostgresWarehouse:
    return PostgresWarehouse(url)


def values(warehouse: PostgresWarehouse, expression: str) -> tuple[pa.DataType, list[Any]]:
    column = read(warehouse, f"SELECT {expression} AS x").column("x")
    return column.type, column.to_pylist()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("ignored", ["1", ""])
def test_instants_are_the_same_in_any_time_zone_of_database_and_machine(
    url: str, zone: str, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYARROW_IGNORE_TIMEZONE", ignored)  # as pandera does
    monkeypatch.setenv("PGTZ", zone)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET TimeZone = '{zone}'")
    instant = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    expression = "TIMESTAMPTZ '2026-07-01 12:30+00'"
    assert values(PostgresWarehouse(url), expression) == (pa.timestamp("us", tz="UTC"), [instant])
    query = "SELECT 1 AS one WHERE :at = TIMESTAMPTZ '2026-07-01 12:30+00'"
    assert read(PostgresWarehouse(url), query, {"at": instant}).num_rows == 1


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("9007199254740993::bigint", pa.int64(), 9007199254740993),
        ("0.35::numeric(10, 2)", pa.decimal128(10, 2), Decimal("0.35")),
        ("0.35::numeric", pa.float64(), 0.35),
        ("true", pa.bool_(), True),
        ("1.5::real", pa.float32(), 1.5),
        ("'ab'::char(5)", pa.string(), "ab"),
        ("'0e37df36-f698-11e6-8dd4-cb9ced3df976'::uuid", pa.string(), "0e37df36-f698-11e6-8dd4-cb9ced3df976"),
        ("'a'::name", pa.string(), "a"),
        ("NULL::uuid", pa.string(), None),
    ],
)
def test_every_type_becomes_one_that_a_book_and_a_request_hold(
    warehouse: PostgresWarehouse, expression: str, kind: pa.DataType, value: object
) -> None:
    assert values(warehouse, expression) == (kind, [value])


def test_enumerations_and_texts_of_extensions_are_texts_and_are_joined_as_such(warehouse: PostgresWarehouse) -> None:
    warehouse.prepare("CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE m AS SELECT 'sad'::mood AS mood")
    assert values(warehouse, "'sad'::mood") == (pa.string(), ["sad"])
    joined = (
        f"SELECT 1 AS n FROM ({warehouse.natural('SELECT mood FROM m')}) m JOIN (SELECT 'sad'::text AS t) t ON mood = t"
    )
    assert read(warehouse, joined).num_rows == 1


def test_texts_are_joined_by_their_bytes_whatever_collations_their_columns_have(warehouse: PostgresWarehouse) -> None:
    """Postgres refuses to compare two columns whose collations differ, and may take different texts for equal."""
    queries = [
        f"""SELECT 'b' COLLATE "{collation}" AS k""" for collation in ("pg_unicode_fast", "POSIX", "C", "default")
    ]
    sources = [f"({warehouse.natural(query)}) t{place}" for place, query in enumerate(queries)]
    joined = f"SELECT t0.k FROM {sources[0]}" + "".join(
        f" JOIN {source} ON t0.k = t{place}.k" for place, source in enumerate(sources[1:], 1)
    )
    assert read(warehouse, joined, key=("k",)).to_pylist() == [{"k": "b"}]
    with pytest.raises(WarehouseError, match="collation"):
        read(warehouse, f"SELECT 1 AS x FROM ({queries[0]}) a JOIN ({queries[1]}) b ON a.k = b.k")
    assert warehouse.natural("SELECT 1 AS n") == "SELECT 1 AS n"


def test_all_columns_that_nothing_can_hold_are_named_at_once(warehouse: PostgresWarehouse) -> None:
    with pytest.raises(WarehouseError) as refused:
        read(warehouse, "SELECT 1 AS a, '12:00+02'::timetz AS b, interval '1 day' AS c, point '(1,2)' AS d")
    assert "columns 'b', 'c', 'd'" in str(refused.value)
    assert "b: time with time zone, c: interval, d: point" in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "'infinity'::timestamptz",
        "'-infinity'::timestamp",
        "'294276-12-31'::timestamp",
        "'infinity'::date",
        "'-infinity'::date",
    ],
)
def test_a_time_that_no_calendar_has_is_refused_in_a_sentence(warehouse: PostgresWarehouse, value: str) -> None:
    with pytest.raises(WarehouseError, match="column 'x': expected days and instants of a calendar"):
        values(warehouse, value)


def test_a_warehouse_that_is_not_there_is_a_sentence_without_its_password() -> None:
    gone = PostgresWarehouse("postgres://me:secret@127.0.0.1:1/none")
    with pytest.raises(WarehouseError, match="expected to be reached, found") as refused:
        read(gone, "SELECT 1")
    with pytest.raises(WarehouseError, match="expected to be reached, found"):
        gone.prepare("CREATE TABLE t (n int)")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_any_way_to_write_the_url_means_the_same(url: str, prefix: str, tmp_path: Any) -> None:
    other = url.replace("postgresql", prefix, 1)
    opened = open_warehouse(Settings(home=tmp_path, warehouse_url=other))
    assert isinstance(opened, PostgresWarehouse)
    assert read(opened, "SELECT 1 AS n").num_rows == 1


@pytest.mark.slow
def test_no_query_waits_for_ever_for_a_connection() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    began = time.monotonic()
    with pytest.raises(WarehouseError, match=r"expected to be reached, found .*timeout"):
        read(PostgresWarehouse(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"), "SELECT 1")
    assert time.monotonic() - began < 8
