"""What is ClickHouse's alone: its session, the words that it reads otherwise, its engine over a folder."""

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from threading import Timer
from time import monotonic

import pyarrow as pa
import pytest

from penstock.sql_text import statements
from penstock.warehouse.clickhouse.doors import HttpDoor
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.clickhouse.words import clickhouse_words
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.estimate import estimate
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.url import WarehouseUrl
from tests.engine.warehouse.test_warehouse import read
from tests.slow import slow_after

HOLDING = """
import sys
from chdb.session import Session
session = Session(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=slow_after(0, ["chdb", "clickhouse"]))
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> ClickHouseWarehouse:
    if request.param == "chdb":
        (tmp_path / "chdb").mkdir()
        return ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}")
    return ClickHouseWarehouse(request.getfixturevalue("clickhouse_url"))


def test_a_session_reads_standard_sql(warehouse: ClickHouseWarehouse) -> None:
    query = """SELECT b.x AS joined, CAST(a.nothing AS integer) AS cast_, timezone() AS zone, c.total AS total
        FROM (SELECT 1 AS n, CAST(NULL AS text) AS nothing) AS a LEFT JOIN (SELECT 2 AS n, 3 AS x) AS b ON a.n = b.n
        CROSS JOIN (SELECT sum(n) AS total FROM (SELECT 1 AS n) AS d WHERE n > 1) AS c"""
    assert read(warehouse, query).to_pylist() == [{"joined": None, "cast_": None, "zone": "UTC", "total": None}]


def test_values_of_every_type_are_bound(warehouse: ClickHouseWarehouse) -> None:
    bound = {
        "text": "it's a \\ and a :name",
        "number": 1.5,
        "whole": 2**40,
        "flag": True,
        "day": date(1969, 12, 31),
        "at": datetime(2026, 3, 29, 1, 30, 0, 5, UTC),
        "local": datetime(2026, 3, 29, 1, 30, 0, 5),
        "clock": time(23, 59, 59, 999999),
        "exact": Decimal("-12.50"),
    }
    found = read(warehouse, "SELECT " + ", ".join(f":{name} AS {name}" for name in bound), bound)
    assert found.to_pylist() == [bound]
    assert found.schema.field("at").type == pa.timestamp("us", "UTC")


def test_a_batch_is_of_limited_size_and_an_error_after_many_rows_is_said(warehouse: ClickHouseWarehouse) -> None:
    with warehouse.batches("SELECT number AS n FROM numbers(300000)") as batches:
        sizes = [batch.num_rows for batch in batches]
    assert sum(sizes) == 300_000
    assert max(sizes) <= 65_536
    with pytest.raises(WarehouseError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
        read(warehouse, "SELECT throwIf(number = 500000) AS n FROM numbers(1000000)")


def test_what_a_query_reads_is_said_before_it_runs(warehouse: ClickHouseWarehouse) -> None:
    warehouse.prepare("CREATE OR REPLACE TABLE large AS SELECT number AS n FROM numbers(50000)")
    said = estimate(warehouse, "SELECT n FROM large WHERE n > :least", {"least": 7}, key=("n",))
    assert (said.cost, said.sorts) == ("50,000 rows read", "in the warehouse")
    assert "nowhere" in estimate(warehouse, "SELECT * FROM nowhere").unknown
    assert "Array(UInt8)" in estimate(warehouse, "SELECT [1] AS a").unknown


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (
            "CAST(x AS timestamp)",
            "fromUnixTimestamp64Micro(toUnixTimestamp64Micro(CAST(x AS DateTime64(6, 'UTC'))))",
        ),
        ("CAST(x AS Date), y::date", "CAST(x AS Date32), y::Date32"),
        ("DATE '1969-12-31' < x", "CAST('1969-12-31' AS Date32) < x"),
        ("CREATE SCHEMA s; DROP SCHEMA IF EXISTS s CASCADE", "CREATE DATABASE s; DROP DATABASE IF EXISTS s"),
        ("lower(x), t.lower(x), SUBSTRING(x, 1)", "lowerUTF8(x), t.lower(x), substringUTF8(x, 1)"),
        ("last_value(f(x)) OVER (ORDER BY y)", "last_value_respect_nulls(f(x)) OVER (ORDER BY y)"),
        ("last_value(x), first_value(x) IGNORE NULLS OVER w, substring(x FROM 2), LEFT JOIN (SELECT 1)", None),
        ("CAST(f(x) AS TIMESTAMP WITH TIME ZONE)", "CAST(f(x) AS DateTime64(6, 'UTC'))"),
        ("x::timestamptz", "x::DateTime64(6, 'UTC')"),
        ("TIMESTAMPTZ '2026-01-01 00:00:00+01'", "CAST('2026-01-01 00:00:00+01' AS DateTime64(6, 'UTC'))"),
        ("CASE WHEN a THEN 1 ELSE -1 END", "CASE WHEN a THEN toInt32(1) ELSE toInt32(-1) END"),
        ("SELECT 0 AS y, 1 AS z", "SELECT toInt32(0) AS y, toInt32(1) AS z"),
        ("SELECT a > 1 AS b, c FROM t", "SELECT CAST(( a > 1 ) AS Bool) AS b, c FROM t"),
        ("SELECT c, \"a\" = 'x' AS b", "SELECT c, CAST(( \"a\" = 'x' ) AS Bool) AS b"),
        (
            "SELECT DISTINCT x IS NOT NULL AS b, (SELECT NOT y AS z) AS w",
            "SELECT DISTINCT CAST(( x IS NOT NULL ) AS Bool) AS b, (SELECT CAST(( NOT y ) AS Bool) AS z) AS w",
        ),
        ("SELECT CASE WHEN a = 1 THEN b END AS c, f(x > 1) AS d, a = 1 ? 2 : 3 AS e, a = b FROM t WHERE a > 1", None),
        (
            "SELECT sum(x) OVER (ORDER BY y ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM t AS u JOIN v ON a = b",
            None,
        ),
        ("SELECT extract(hour FROM x) AS h, arrayMap(x -> x > 1, y) AS m, '>' AS gt FROM t", None),
        ("SELECT timestamp, (SELECT x AS timestamp) FROM t", None),
        ("SELECT 'THEN 1' AS \"CAST(x AS timestamp)\" -- x::timestamp", None),
        ("CASE WHEN a THEN 1.5 ELSE x1 END, 99999999999 AS large", None),
        ("now()::DateTime, CAST(x AS timestamp(3)), toTimestamp(1)", None),
    ],
)
def test_words_are_replaced_where_they_mean_something_else(written: str, sent: str | None) -> None:
    assert clickhouse_words(written) == (sent or written)
    assert clickhouse_words(clickhouse_words(written)) == clickhouse_words(written)


MEANINGS = {
    "CAST('1969-12-31' AS DATE)": date(1969, 12, 31),
    "DATE '1931-01-02'": date(1931, 1, 2),
    "CAST(TIMESTAMPTZ '2026-03-29 02:30:00+02' AS timestamp)": datetime(2026, 3, 29, 0, 30),
    "CAST(NULL AS timestamp)": None,
    "lower('ÉA')": "éa",
    "upper('éa')": "ÉA",
    "left('éa', 1)": "é",
    "substring('éa', 2, 1)": "a",
    "lpad('é', 3, 'x')": "xxé",
    "(CAST(NULL AS timestamp) AT TIME ZONE 'Europe/Berlin')": None,
    "CAST('2026-03-29 12:00:00+02' AS timestamptz) AT TIME ZONE 'America/New_York'": datetime(2026, 3, 29, 6),
}
BERLIN = ("2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-10-25 01:59:59.999999", "2026-03-29 03:00:00")
NEW_YORK = ("2026-03-08 02:30:00", "2026-11-01 01:30:00", "2026-03-08 01:59:00", "2026-03-08 03:10:00")
LOCAL_TIMES = [
    (zone, at)
    for zone, times in (("Europe/Berlin", BERLIN), ("America/New_York", NEW_YORK), ("Asia/Kathmandu", BERLIN[:1]))
    for at in (*times, "2026-07-01 12:00:00", "1971-01-01 00:00:00.000001")
]


def test_what_is_written_in_standard_sql_means_the_same_as_in_the_other_kinds(
    warehouse: ClickHouseWarehouse, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    local = [f"CAST('{at}' AS TIMESTAMP) AT TIME ZONE '{zone}'" for zone, at in LOCAL_TIMES]
    query = "SELECT " + ", ".join(f"{sql} AS x{place}" for place, sql in enumerate([*MEANINGS, *local]))
    DuckDBWarehouse(str(tmp_path / "w.duckdb")).prepare("CREATE TABLE one AS SELECT 1 AS n")
    found = [
        list(read(one, query).to_pylist()[0].values())
        for one in (warehouse, DuckDBWarehouse(str(tmp_path / "w.duckdb")), PostgresWarehouse(new_database()))
    ]
    assert found[0][: len(MEANINGS)] == list(MEANINGS.values())
    assert len(found[0]) == len(MEANINGS) + 15
    assert found[0] == found[1] == found[2]


def test_a_window_keeps_the_nulls(warehouse: ClickHouseWarehouse) -> None:
    rows = "(VALUES (1, NULL), (2, 'a'), (3, NULL)) AS t (n, x)"
    query = (
        f"SELECT n, first_value(x) OVER (ORDER BY n) AS f, last_value(x) OVER (ORDER BY n) AS l FROM {rows} ORDER BY n"
    )
    assert [(row["f"], row["l"]) for row in read(warehouse, query).to_pylist()] == [
        (None, None),
        (None, "a"),
        (None, None),
    ]


@pytest.mark.parametrize("written", ["x AT TIME ZONE 'Europe/Berlin'", "CAST(x AS timestamp) AT TIME ZONE zone"])
def test_a_zone_that_cannot_be_meant_as_elsewhere_is_refused(warehouse: ClickHouseWarehouse, written: str) -> None:
    with pytest.raises(WarehouseError, match=r"AT TIME ZONE: expected CAST\(… AS timestamp\).*found.*AT TIME ZONE"):
        read(warehouse, f"SELECT {written} AS y FROM (SELECT now() AS x, 'UTC' AS zone) AS t")


def test_a_condition_is_a_boolean_and_a_null_stays_one(warehouse: ClickHouseWarehouse) -> None:
    found = read(
        warehouse, "SELECT n > 1 AS late, n IN (1, 2) AS known FROM (VALUES (1), (2), (NULL)) AS t (n) ORDER BY n"
    )
    assert found.schema.types == [pa.bool_(), pa.bool_()]
    assert found.column("late").to_pylist() == [False, True, None]


def test_a_script_is_taken_apart_where_its_statements_end() -> None:
    assert statements("-- first; one\nSELECT ';' AS a;\n\nSELECT 2 /* ; */ ; -- the end") == [
        "-- first; one\nSELECT ';' AS a",
        "SELECT 2 /* ; */",
    ]


@pytest.mark.slow
def test_a_folder_that_another_process_has_open_is_waited_for_in_bounded_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseError, match="to be free within 0 s"):
            read(ClickHouseWarehouse(f"chdb://{folder}", patience=0.3), "SELECT 1 AS x")
        assert capfd.readouterr().err == ""
        Timer(1, holder.communicate, ("\n",)).start()
        assert read(ClickHouseWarehouse(f"chdb://{folder}", patience=60), "SELECT 1 AS x").to_pylist() == [{"x": 1}]
    finally:
        holder.kill()
        holder.wait()


def test_a_place_that_is_no_folder_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    began = monotonic()
    for name, found in (("file", "a file"), ("missing", "none")):
        with pytest.raises(WarehouseError, match=rf"warehouse .*{name}: expected a folder .*found {found}\."):
            read(ClickHouseWarehouse(f"chdb://{tmp_path / name}"), "SELECT 1 AS x")
    assert not (tmp_path / "missing").exists()
    assert monotonic() - began < 30


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (b"", "the answer broke off: its end is missing"),
        (b"\r\n__exception__\r\ntag\r\nCode: 241. DB::Exception: Memory limit exceeded", r"Code: 241\. DB::.*exceeded"),
        (b"\xff\xff\xff\xff", "."),
    ],
)
def test_an_answer_without_its_end_is_no_result(behind: bytes, said: str) -> None:
    """A server that fails after its first rows writes the fault behind them; one that dies behind a proxy, nothing."""
    rows = pa.record_batch({"n": [1, 2, 3]})
    body = io.BytesIO()
    with pa.ipc.new_stream(body, rows.schema) as stream:
        stream.write_batch(rows)
        whole = body.tell()

    class Client:
        def __init__(self, sent: bytes) -> None:
            self.sent = sent

        def raw_stream(self, _: str, fmt: str) -> io.BytesIO:
            assert fmt == "ArrowStream"
            return io.BytesIO(self.sent)

    door = HttpDoor(WarehouseUrl.parse("clickhouse://host/db"))
    assert list(replace(door, client=Client(body.getvalue())).rows("")) == [rows]
    with pytest.raises(OSError, match=said):
        list(replace(door, client=Client(body.getvalue()[:whole] + behind)).rows(""))
