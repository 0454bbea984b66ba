"""A query ends with whoever waits for it: by Ctrl-C, by Dagster's terminate, and after its time."""

import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer

import psycopg
import pyarrow as pa
import pytest

from penstock.settings import WAREHOUSE_TIMEOUT, SettingError, Settings, load
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.reading import Query, reading, run
from tests.engine.warehouse.test_warehouse import read
from tests.slow import slow_after

ENDLESS = {
    "duckdb": "SELECT count(*) AS n FROM range(10000000) AS a, range(10000000) AS b WHERE a.range + b.range = -1",
    "postgresql": "SELECT count(*) AS n FROM generate_series(1, 10000000) AS a, generate_series(1, 10000000) AS b",
    "clickhouse": "SELECT count() AS n FROM numbers(1000000000000) WHERE cityHash64(number) = 1",
    "rows": "SELECT a, repeat('x', 1000) AS x FROM generate_series(1, 100000000) AS a",
}
RUNNING = """SELECT count() AS n FROM system.processes
    WHERE query LIKE '%cityHash64(number) = 1%' AND query NOT LIKE '%processes%'"""
ENDED_BY = {"ctrl-c": "KeyboardInterrupt", "terminate": "Terminated", "dagster": "DagsterExecutionInterruptedError"}
PROGRAM = """
import signal, sys
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse

class Terminated(BaseException): ...

def terminate(*_): raise Terminated

# The handler is set here, because a shell starts what is in the background with SIGINT ignored.
signal.signal(signal.SIGINT, terminate if sys.argv[1] == "terminate" else signal.default_int_handler)
kind, place, query = sys.argv[2:]
kinds = {"duckdb": DuckDBWarehouse, "postgresql": PostgresWarehouse, "clickhouse": ClickHouseWarehouse}
warehouse = kinds[kind](place)


def taken():
    print("begun", flush=True)
    with warehouse.batches(query) as batches:
        print(sum(batch.num_rows for batch in batches))


try:
    if sys.argv[1] == "dagster":
        import dagster as dg

        dg.materialize([dg.asset(taken)])
    else:
        taken()
except BaseException as error:
    print("ended by", type(error).__name__)
"""


@pytest.fixture
def duckdb_file(tmp_path: Path) -> str:
    DuckDBWarehouse(str(tmp_path / "w.duckdb")).prepare("CREATE TABLE t (n INTEGER)")
    return str(tmp_path / "w.duckdb")


def running(url: str) -> int:
    """The queries that run in the database, but this one."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state <> 'idle' AND query LIKE '%generate_series(1, 10%'"
        ).fetchone()
    assert found is not None
    return int(found[0])


def wait_for(what: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "in time"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDED_BY)
@pytest.mark.parametrize("query", ["postgresql", "rows"])
def test_an_interrupt_ends_the_query_in_postgres(new_database: Callable[[], str], how: str, query: str) -> None:
    url = new_database()
    with _program(how, "postgresql", url, ENDLESS[query]) as program:
        wait_for(lambda: running(url) == 1)
        program.send_signal(signal.SIGINT)
        wait_for(lambda: running(url) == 0, 10)
        said, _ = program.communicate(timeout=20)
    assert f"ended by {ENDED_BY[how]}" in said


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDED_BY)
def test_an_interrupt_ends_the_query_in_duckdb(duckdb_file: str, how: str) -> None:
    with _program(how, "duckdb", duckdb_file, ENDLESS["duckdb"]) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        time.sleep(1)  # the query runs; DuckDB has no list of those that do
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=20)
    assert f"ended by {ENDED_BY[how]}" in said


def test_what_duckdb_makes_of_an_interrupt_in_the_main_thread_is_one_again(duckdb_file: str) -> None:
    """`execute` drops the KeyboardInterrupt of the handler, and raises this."""
    for said, raised in (("Query interrupted", KeyboardInterrupt), ("another", RuntimeError)):
        with pytest.raises(raised), DuckDBWarehouse(duckdb_file).connect(read_only=True):
            raise RuntimeError(said)


def running_in_clickhouse(url: str) -> int:
    """The queries that run in the server, but this one."""
    return int(read(ClickHouseWarehouse(url), RUNNING).column("n")[0].as_py())


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDED_BY)
@pytest.mark.parametrize("door", ["clickhouse", "chdb"])
def test_an_interrupt_ends_the_query_in_clickhouse(clickhouse_url: str, tmp_path: Path, how: str, door: str) -> None:
    (tmp_path / "chdb").mkdir()
    url = clickhouse_url if door == "clickhouse" else f"chdb://{tmp_path / 'chdb'}"
    with _program(how, "clickhouse", url, ENDLESS["clickhouse"]) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        if door == "clickhouse":
            wait_for(lambda: running_in_clickhouse(url) == 1)
        else:
            time.sleep(2)  # another process cannot ask the engine
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=20)
        if door == "clickhouse":
            wait_for(lambda: running_in_clickhouse(url) == 0, 10)
    assert f"ended by {ENDED_BY[how]}" in said


@contextmanager
def _program(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield program
    finally:
        program.kill()
        program.wait()


@pytest.fixture(params=slow_after(2, ["duckdb", "postgresql", "chdb", "clickhouse"]))
def brief(request: pytest.FixtureRequest, duckdb_file: str, tmp_path: Path) -> Iterator[tuple[Warehouse, str]]:
    """A warehouse whose queries may take one second, and an endless query for it."""
    if request.param == "duckdb":
        yield DuckDBWarehouse(duckdb_file, timeout=1), ENDLESS["duckdb"]
    elif request.param in ("chdb", "clickhouse"):
        embedded = request.param == "chdb"
        (tmp_path / "chdb").mkdir()
        url = f"chdb://{tmp_path / 'chdb'}" if embedded else request.getfixturevalue("clickhouse_url")
        yield ClickHouseWarehouse(url, timeout=1), ENDLESS["clickhouse"]
        assert running_in_clickhouse(url) == 0
    else:
        url = request.getfixturevalue("new_database")()
        yield PostgresWarehouse(url, timeout=1), ENDLESS["postgresql"]
        wait_for(lambda: running(url) == 0, 5)  # a moment after its client has left


@pytest.mark.slow
def test_a_query_ends_after_its_time(brief: tuple[Warehouse, str]) -> None:
    warehouse, endless = brief
    began = time.monotonic()
    with pytest.raises(WarehouseError, match=r"expected to end within 1 s.*raise PENSTOCK_WAREHOUSE_TIMEOUT"):
        read(warehouse, endless)
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_a_long_query_says_what_the_warehouse_says_of_it(
    brief: tuple[Warehouse, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse, endless = brief
    words = {
        "duckdb": r"\d+ % done by DuckDB's word",
        "postgresql": "the server (computes|waits for)",
        "clickhouse": r"it has read [\d,]+ of [\d,]+ rows",
    }
    monkeypatch.setattr(Query.__init__, "__defaults__", (*Query.__init__.__defaults__[:-2], 0.5, str))  # type: ignore[misc,index]
    with caplog.at_level(logging.WARNING, "penstock.warehouse"), pytest.raises(WarehouseError):
        read(warehouse, endless)
    assert any(
        re.search(rf"has run for \d+ s: 0 rows so far; {words[warehouse.dialect]}", one) for one in caplog.messages
    )


@pytest.mark.slow
def test_a_query_of_postgres_that_waits_for_a_lock_says_for_whose(
    new_database: Callable[[], str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    monkeypatch.setattr(Query.__init__, "__defaults__", (*Query.__init__.__defaults__[:-2], 0.5, str))  # type: ignore[misc,index]
    with psycopg.connect(url, autocommit=True) as holder:
        holder.execute("CREATE TABLE t (n int)")
        with holder.transaction():
            holder.execute("LOCK TABLE t")
            with caplog.at_level(logging.WARNING, "penstock.warehouse"), pytest.raises(WarehouseError):
                read(PostgresWarehouse(url, timeout=1), "SELECT n FROM t")
            assert f"waits for Lock relation, held by the process {holder.info.backend_pid}" in caplog.text


@pytest.mark.slow
def test_a_query_ends_when_another_thread_says_so(duckdb_file: str, new_database: Callable[[], str]) -> None:
    url, ended = new_database(), Event()
    Timer(1, ended.set).start()
    for warehouse in (PostgresWarehouse(url, ended=ended), DuckDBWarehouse(duckdb_file, ended=ended)):
        with pytest.raises(WarehouseError, match="it was cancelled, because another one failed"):
            read(warehouse, ENDLESS[warehouse.dialect])
    assert running(url) == 0


@pytest.mark.slow
def test_a_preparation_ends_after_its_time(brief: tuple[Warehouse, str]) -> None:
    warehouse, endless = brief
    with pytest.raises(WarehouseError, match="preparation in the warehouse: expected to end within 1 s"):
        warehouse.prepare(f"CREATE TABLE made AS {endless}")
    with pytest.raises(WarehouseError, match="made"):
        read(warehouse, "SELECT * FROM made")


def test_the_time_is_declared_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for url in ("", "postgresql:///x"):
        settings = Settings(home=tmp_path, warehouse_url=url, warehouse_timeout=7)
        opened = open_warehouse(settings)
        assert isinstance(opened, DuckDBWarehouse | PostgresWarehouse)
        assert opened.timeout == 7
    assert Settings(home=tmp_path).warehouse_timeout == WAREHOUSE_TIMEOUT > 0
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_TIMEOUT", "12")
    assert load().warehouse_timeout == 12
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_TIMEOUT", "soon")
    with pytest.raises(SettingError, match="PENSTOCK_WAREHOUSE_TIMEOUT: expected whole seconds"):
        load()


@pytest.mark.slow
def test_what_has_run_is_not_cancelled_when_its_thread_is_slow_to_end() -> None:
    def start() -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            time.sleep(0.5)
            yield from ()

        return pa.RecordBatchReader.from_batches(pa.schema([]), batches())

    cancelled: list[str] = []
    begin = time.monotonic()
    run(Query(start, lambda: cancelled.append("late"), lambda error: error))
    assert time.monotonic() - begin >= 0.5
    assert cancelled == []


def test_a_long_query_says_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def slow() -> pa.RecordBatchReader:
        batch = pa.RecordBatch.from_pydict({"n": [1, 2, 3]})

        def batches() -> Iterator[pa.RecordBatch]:
            yield batch
            time.sleep(0.3)
            yield batch

        return pa.RecordBatchReader.from_batches(batch.schema, batches())

    with (
        caplog.at_level(logging.WARNING, "penstock.warehouse"),
        reading(Query(slow, lambda: None, lambda error: error, first_word=0.1)) as rows,
    ):
        assert rows.read_all().num_rows == 6
    assert any("3 rows so far" in message for message in caplog.messages)
