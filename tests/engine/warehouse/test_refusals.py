"""What is no warehouse is refused at once, in a sentence that says what is one, and that holds no secret."""

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from penstock.settings import Settings
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.url import WarehouseUrl, shown
from tests.engine.warehouse.test_warehouse import read

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("sqlite:////data/w.sqlite", "a URL of the kind 'sqlite'"),
        (f"mysql+pymysql://me:{SECRET}@host/db", "a URL of the kind 'mysql'"),
        (f"oracle://me:{SECRET}@host/db", "a URL of the kind 'oracle'"),
        (f"jdbc:postgresql://host/db?user=me&password={SECRET}", "a URL of the kind 'jdbc'"),
        ("/data/w.duckdb", "no URL"),
        (SECRET, "no URL"),
    ],
)
def test_a_url_of_an_unknown_kind_is_refused_with_the_kinds_that_there_are(
    tmp_path: Path, url: str, found: str
) -> None:
    with pytest.raises(WarehouseError) as refused:
        open_warehouse(Settings(home=tmp_path, warehouse_url=url))
    said = str(refused.value)
    assert said.startswith("PENSTOCK_WAREHOUSE_URL: expected duckdb:///path/of/file.duckdb, postgresql://")
    assert found in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://host/db", "adbc_driver_postgresql.dbapi", "postgres"),
        ("redshift://host/db", "adbc_driver_postgresql.dbapi", "postgres"),
        ("clickhouse://host/db", "clickhouse_connect", "clickhouse"),
        ("chdb:///data", "chdb.session", "chdb"),
    ],
)
def test_a_missing_driver_is_refused_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WarehouseError, match=rf"Install it: pip install 'penstock\[{extra}\]'"):
        open_warehouse(Settings(home=tmp_path, warehouse_url=url))


@pytest.mark.parametrize(
    "url",
    [f"duckdb:///md:shop?motherduck_token={SECRET}", "duckdb:md:shop", f"duckdb:////data/w.duckdb?token={SECRET}"],
)
def test_what_is_no_duckdb_file_is_refused_without_the_token_behind_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(WarehouseError, match=r"expected duckdb:///path/of/file.duckdb, found a ") as refused:
        open_warehouse(Settings(home=tmp_path, warehouse_url=url))
    assert SECRET not in str(refused.value)


def test_an_option_that_libpq_has_not_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="'ssl' in the query of PENSTOCK_WAREHOUSE_URL"):
        open_warehouse(Settings(home=tmp_path, warehouse_url=f"postgresql+asyncpg://me:{SECRET}@host/db?ssl=require"))


def test_an_option_that_the_driver_of_clickhouse_has_not_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="'sslmode' in the query of PENSTOCK_WAREHOUSE_URL"):
        open_warehouse(Settings(home=tmp_path, warehouse_url=f"clickhouse://me:{SECRET}@host/db?sslmode=require"))
    with pytest.raises(WarehouseError, match="no path that begins with /"):
        open_warehouse(Settings(home=tmp_path, warehouse_url="chdb://data"))


@pytest.mark.parametrize(
    "url",
    [
        f"clickhouse://me:{SECRET}@127.0.0.1:1/none",
        f"clickhouses://me:{SECRET}@127.0.0.1:1/none?access_token={SECRET}",
        f"clickhouse://me:/{SECRET}@127.0.0.1:1/none",
        f"postgresql://me:{SECRET}@127.0.0.1:1/none",
        f"postgresql://127.0.0.1:1/none?user=me&password={SECRET}",
        f"postgresql://me:{SECRET}@127.0.0.1:1/none?sslmode=nonsense",
        f"postgresql://me:pass@{SECRET}/x@127.0.0.1:1/none",
        f"postgresql://me:/{SECRET}@127.0.0.1:1/none",
        f"postgresql://me:{SECRET}@127.0.0.1:port/none",
        f"postgresql://me:{SECRET}@[nowhere/none",
    ],
)
def test_no_fault_of_a_connection_tells_a_secret(tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(WarehouseError) as refused:
        read(open_warehouse(Settings(home=tmp_path, warehouse_url=url)), "SELECT 1 AS x")  # type: ignore[arg-type]
    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value) + "".join(caplog.messages)
    assert SECRET not in told
    assert SECRET not in told.replace("%", "")


def test_no_fault_of_a_query_tells_a_secret(new_database: Callable[[], str], caplog: pytest.LogCaptureFixture) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD '{SECRET}'".encode())
    guest = PostgresWarehouse(url.replace("postgres@", f"guest:{SECRET}@", 1))
    assert SECRET in guest.url
    assert read(guest, "SELECT session_user::text AS me").to_pylist() == [{"me": "guest"}]
    faults = [
        "SELECT * FROM nowhere",
        "SELECT 1 / (n - n) AS x FROM generate_series(1, 3) AS n",
        "SELECT point '(1,2)' AS p",
    ]
    for query in faults:
        with caplog.at_level(logging.DEBUG), pytest.raises(WarehouseError) as refused:
            read(guest, query)
        assert SECRET not in "".join(traceback.format_exception(refused.value)) + "".join(caplog.messages)
    with pytest.raises(WarehouseError, match="permission denied") as denied:
        guest.prepare("CREATE TABLE public.t (n int)")
    assert SECRET not in str(denied.value)


def test_no_fault_of_a_query_in_clickhouse_tells_a_secret(
    clickhouse_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = clickhouse_url.replace("me:", "you:")
    assert SECRET in wrong
    for url, query in (
        (clickhouse_url, "SELECT * FROM nowhere"),
        (clickhouse_url, "SELECT [1] AS x"),
        (wrong, "SELECT 1"),
    ):
        with caplog.at_level(logging.DEBUG), pytest.raises(WarehouseError) as refused:
            read(ClickHouseWarehouse(url), query)
        assert SECRET not in "".join(traceback.format_exception(refused.value)) + "".join(caplog.messages)


def test_what_is_shown_of_a_url_is_no_secret() -> None:
    url = f"postgresql+psycopg://me:{SECRET}@host:5432/db?sslpassword={SECRET}"
    assert shown(url) == "postgresql://me:***@host:5432/db"
    assert shown(f"duckdb:///md:db?motherduck_token={SECRET}") == "duckdb:///md:db"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://me:p,w@a:1,b:2/db", "a,b", "1,2"),
        ("postgresql://me:p,w@a:1,b/db?sslmode=require", "a,b", "1,"),
        ("postgres://a,b/db", "a,b", None),
        ("postgresql+psycopg://me:p,w@/db?host=a:1&host=b:2", "a,b", "1,2"),
        ("postgresql://me:p,w@/db?host=a,b&port=1,2", "a,b", "1,2"),
        ("postgresql://me:p,w@[::1]:1/db", "::1", "1"),
        ("postgresql:///db?host=/run/x", "/run/x", None),
    ],
)
def test_several_hosts_are_tried_as_libpq_and_sqlalchemy_write_them(url: str, host: str, port: str | None) -> None:
    found = WarehouseUrl.parse(url).libpq()
    assert (found["host"], found.get("port"), found["dbname"]) == (host, port, "db")
    assert found.get("password") == ("p,w" if "me" in url else None)
    assert "p,w" not in shown(url)
