import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.server import PostgresError
from penstock.settings import Settings
from tests.checkout import ROOT


@pytest.fixture
def settings(slow: None, tmp_path: Path) -> Iterator[Settings]:
    made = Settings(home=tmp_path / "a home")
    Databases(made).server({"fsync": "off"}).start()
    yield made
    Databases(made).server().remove()


def test_books_and_dagster_storage_live_in_one_server_below_the_home(settings: Settings) -> None:
    test, prod = Databases(settings).open_books()
    for book in (test, prod):
        with book.connect() as connection:
            assert connection.execute("SELECT count(*) FROM app.release").fetchone() == (0,)
    assert Databases(settings).dagster_url().startswith("postgresql+psycopg2://postgres@/penstock_dagster?host=")
    assert Databases(settings).is_running()


def test_text_sorts_by_bytes_and_time_is_utc_whatever_the_machine_says(settings: Settings) -> None:
    with Databases(settings).open_books().test.connect() as connection:
        assert connection.execute("SELECT 'B' < 'a', upper('é'), current_setting('timezone')").fetchone() == (
            True,
            "É",
            "UTC",
        )


def test_the_server_listens_on_no_network_port(settings: Settings) -> None:
    with Databases(settings).open_books().test.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


@pytest.mark.slow
def test_the_server_outlives_the_process_that_started_it_and_stops_on_demand(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    _start_in_child(settings).wait()
    try:
        assert Databases(settings).is_running()
    finally:
        assert Databases(settings).stop()
    assert not Databases(settings).is_running()
    assert not Databases(settings).stop()
    Databases(settings).server().remove()


STARTED_BY_ONE_THAT_GOES_ON = """
import sys; from pathlib import Path; from penstock.postgres.databases import Databases
from penstock.settings import Settings
Databases(Settings(home=Path(sys.argv[1]))).server().start(); print("started", flush=True); input()
"""


@pytest.mark.slow
def test_a_server_stops_while_the_process_that_started_it_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTED_BY_ONE_THAT_GOES_ON, str(tmp_path)]
    starter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "started\n"
    server = Databases(Settings(home=tmp_path)).server()
    try:
        began = time.monotonic()
        assert server.stop()
        assert time.monotonic() - began < 20
    finally:
        starter.communicate("\n")
        server.remove()


@pytest.mark.slow
def test_processes_that_ensure_the_server_at_once_share_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    children = [_start_in_child(settings) for _ in range(4)]
    try:
        pids = {child.communicate()[0].strip() for child in children}
        assert pids == {str(Databases(settings).server().pid())}
    finally:
        Databases(settings).server().remove()


def test_what_was_committed_survives_a_killed_server(settings: Settings) -> None:
    book = Databases(settings).open_books().test
    with book.connect() as connection:
        connection.execute("CREATE TABLE app.kept AS SELECT 1 AS x")
    pid = Databases(settings).server().pid()
    assert pid is not None
    os.kill(pid, 9)
    while Databases(settings).is_running():
        pass
    with Databases(settings).open_books().test.connect() as connection:
        assert connection.execute("SELECT x FROM app.kept").fetchone() == (1,)


@pytest.mark.slow
def test_a_home_whose_path_is_too_long_for_a_socket_works_and_its_socket_is_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ("long" * 40))
    try:
        book = Databases(settings).open_books().test
        with book.connect() as connection:
            (sockets,) = connection.execute("SHOW unix_socket_directories").fetchone() or ("",)
        assert not Path(sockets).is_relative_to(tmp_path)
        assert Path(sockets).stat().st_mode & 0o077 == 0
    finally:
        Databases(settings).server().remove()


def test_urls_of_the_settings_win_and_start_no_server(tmp_path: Path, book: Book, prod_book: Book) -> None:
    settings = Settings(home=tmp_path, test_url=book.url, prod_url=prod_book.url, dagster_url=book.url)
    assert [opened.url for opened in Databases(settings).open_books()] == [book.url, prod_book.url]
    assert Databases(settings).dagster_url() == book.url.replace("postgresql://", "postgresql+psycopg2://")
    assert Databases(settings).resolve() == settings
    assert not Databases(settings).is_embedded()
    assert not (tmp_path / "postgres").exists()


def test_data_of_another_version_is_refused_by_name(settings: Settings) -> None:
    Databases(settings).stop()
    (settings.home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresError, match="expected data of Postgres 18, found data of Postgres 16"):
        Databases(settings).open_books()
    (settings.home / "postgres" / "PG_VERSION").write_text("18\n")


@pytest.mark.slow
def test_a_failure_of_initdb_is_its_cause_and_the_log(tmp_path: Path) -> None:
    server = Databases(Settings(home=tmp_path)).server({"shared_buffer": "128MB"})
    try:
        with pytest.raises(PostgresError) as refused:
            server.start()
    finally:
        server.remove()
    said = str(refused.value)
    assert re.search(r'found exit code 1: .*parameter "shared_buffer"', said), said
    assert f"Its log is {server.log}." in said
    assert '"shared_buffer"' in server.log.read_text()


def test_resolved_settings_open_the_same_books(settings: Settings) -> None:
    resolved = Databases(settings).resolve()
    assert all((resolved.test_url, resolved.prod_url, resolved.dagster_url))
    assert Databases(resolved).resolve() == resolved
    with psycopg.connect(msgspec.structs.asdict(resolved)["prod_url"]) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("penstock_prod",)


def _start_in_child(settings: Settings) -> subprocess.Popen[str]:
    code = (
        "from penstock.postgres.databases import Databases; from penstock import settings; s = settings.load();"
        "Databases(s).server({'fsync': 'off'}).start(); Databases(s).open_books(); print(Databases(s).server().pid())"
    )
    environment = {**os.environ, "PENSTOCK_HOME": str(settings.home)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
