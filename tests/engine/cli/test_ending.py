"""SIGTERM and Ctrl-C end a command at once, and its query in the warehouse and in the books with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from penstock.cli import ending
from penstock.errors import PenstockError
from penstock.file_lock import file_lock, holder_of
from penstock.postgres.book import Book
from penstock.testing import create_database, wait_for
from penstock.testing.books import drop_databases
from tests.engine.projects import CONTRACT, write_project

DECLARED = """
from model_tools.late import CONTRACT
from penstock.declare.model import GateRule, Model
from penstock.declare.table import ReplicatedTable

def estimator():
    from sklearn.linear_model import LinearRegression
    return LinearRegression()

TABLES = (ReplicatedTable("levels", "SELECT key, n FROM slow", ("key",)),)
MODEL = Model(
    CONTRACT, "SELECT n, asked_at, outcome FROM slow WHERE asked_at >= :from AND asked_at < :until", estimator,
    outcome="outcome", first_period="2026-01", gate=GateRule("rmse", 100.0),
)
"""
SLOW = """CREATE VIEW slow AS
    SELECT s AS key, s AS n, timestamptz '2026-10-05' - s * interval '1 day' AS asked_at, 1::float8 AS outcome
    FROM generate_series(1, 60) s, pg_sleep(300)"""  # rows in every window, or none would sleep
NEW = ["new", "other", "--from", "slow", "--outcome", "outcome", "--key", "key", "--asked-at", "asked_at"]
WAREHOUSE = [
    ["train", "late", "--period", "2026-10"],
    ["train", "late", "--period", "2026-10", "--dry-run"],
    ["publish", "levels"],
    ["advise", "levels"],
    ["requests", "late"],
    NEW,
]
BOOKS = [
    ["verify"],
    ["replay", "--since", "1h"],
    ["releases", "late"],
    ["rollback", "late", "--why", "drill"],
    ["card", "late"],
    ["doctor"],
]
LOCKED = "LOCK TABLE app.release, app.current_release, app.prediction, app.origin, replicated.current"
SECONDS = 15.0
# A shell may have started the tests in the background, where nothing hears Ctrl-C.
IN_A_TERMINAL = """
import signal
from penstock.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@dataclass
class Place:
    """A project whose warehouse and books are databases of one server."""

    root: Path
    server: str
    databases: list[str]
    environment: dict[str, str]

    def start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *command],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def running(self) -> list[str]:
        """The queries that run or wait in the project's databases, but for this one."""
        with psycopg.connect(self.server) as connection:
            rows = connection.execute(
                "SELECT query FROM pg_stat_activity WHERE state = 'active' AND datname = ANY(%s)"
                " AND backend_type = 'client backend'",
                (self.databases,),
            ).fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def place(slow: None, postgres: str, book: Book, prod_book: Book, tmp_path: Path) -> Iterator[Place]:
    warehouse = create_database(postgres)
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(SLOW)
    files = {
        "model_tools/late.py": CONTRACT.format(name="late").replace("n: float", "n: int"),
        "assets/late.py": DECLARED,
        "assets/definitions.py": "from penstock.graph.definitions import build\n\ndefs = build(__file__)\n",
    }
    urls = [warehouse, book.url, prod_book.url]
    own = {
        "PENSTOCK_WAREHOUSE_URL": warehouse,
        "PENSTOCK_TEST_URL": book.url,
        "PENSTOCK_PROD_URL": prod_book.url,
        "PENSTOCK_DAGSTER_URL": book.url,
        "PENSTOCK_NOW": "2026-11-20T12:00:00Z",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    names = [str(psycopg.conninfo.conninfo_to_dict(url)["dbname"]) for url in urls]
    yield Place(write_project(tmp_path / "late", files), postgres, names, kept | own)
    drop_databases(postgres, [warehouse])


def ended(place: Place, command: list[str], number: signal.Signals) -> tuple[int, float, str]:
    """How a command ends whose query runs or waits: its exit code, after how many seconds, and what it printed."""
    process = place.start(*command)
    try:
        wait_for(lambda: place.running() or process.poll() is not None, 60)
        assert process.poll() is None, process.communicate()
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        return process.returncode, time.monotonic() - began, said
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("command", WAREHOUSE, ids=lambda command: " ".join(command[:1] + command[4:5]))
def test_a_command_that_ends_ends_its_query_in_the_warehouse(
    place: Place, command: list[str], number: signal.Signals
) -> None:
    code, seconds, said = ended(place, command, number)
    assert code == 128 + number, said
    assert seconds < SECONDS
    assert "Traceback" not in said
    wait_for(lambda: not place.running(), 5)


@pytest.mark.parametrize("command", BOOKS, ids=lambda command: command[0])
def test_a_command_that_ends_ends_its_query_in_the_books(
    place: Place, command: list[str], book: Book, prod_book: Book
) -> None:
    with book.connect() as test, prod_book.connect() as prod:
        for connection in (test, prod):
            connection.execute(f"{LOCKED} IN ACCESS EXCLUSIVE MODE".encode())
        code, seconds, said = ended(place, command, signal.SIGTERM)
        assert code == 128 + signal.SIGTERM, said
        assert seconds < SECONDS
        assert "Traceback" not in said
        wait_for(lambda: not place.running(), 5)


STUCK = """
import ctypes, sys
from penstock.cli import ending
from penstock.cli.ending import ended_by_signals

ending.GRACE_SECONDS = 1.0
with ended_by_signals():
    print("waiting", flush=True)
    ctypes.PyDLL(None).sleep(600)  # with the lock of the interpreter let go, see below
"""


def test_a_command_whose_library_never_looks_for_signals_ends_all_the_same() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK.replace("PyDLL", "CDLL")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        for _ in range(2):  # sleep(3) ends by a signal and is not begun anew; here it is
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert ending.GRACE_SECONDS > 1


IN_THE_BACKGROUND = """
import os, signal, subprocess, sys
from penstock.cli.ending import ended_by_signals

signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a command in the background
with ended_by_signals():
    os.kill(os.getpid(), signal.SIGINT)
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    subprocess.run([sys.executable, "-c", child], check=True)
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


def test_what_a_command_that_ignores_ctrl_c_starts_hears_it_all_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", IN_THE_BACKGROUND], capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stdout.split()) == (0, ["True", "True"]), ran.stderr


ASKING = """
import os, signal, threading, time
import click, duckdb
from penstock.cli import main as program

@click.command()
def ask():
    connection = duckdb.connect()
    query = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b"
    threading.Thread(target=lambda: connection.sql(query).fetchall(), daemon=True).start()
    time.sleep(0.5)
    print("begun")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

program.penstock = ask
program.main()
"""


def test_a_thread_that_waits_in_a_library_makes_no_noise_at_the_end() -> None:
    """Seen: "FATAL: exception not rethrown", and a core, after an interrupted `penstock up`."""
    done = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, check=False, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("begun\n", 128 + signal.SIGTERM)
    assert done.stderr.split() == ["Aborted!"]


def test_whoever_waits_for_a_lock_says_for_what_and_for_a_bounded_time(tmp_path: Path) -> None:
    path, said = tmp_path / "up.lock", list[str]()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with file_lock(path, "another `penstock up`", say=said.append):
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert holder_of(path) == str(os.getpid())
    with (
        pytest.raises(PenstockError, match=rf"another `penstock up` to end within 0 s, found process {os.getpid()}"),
        file_lock(path, "another `penstock up`", say=said.append, patience=0.3),
    ):
        raise AssertionError
    assert said == [f"Another `penstock up` is at work here (process {os.getpid()}); waiting for it."]
    free.set()
    thread.join()
    assert holder_of(path) == ""
    with file_lock(path, "another `penstock up`", say=said.append):
        pass
    assert len(said) == 1
