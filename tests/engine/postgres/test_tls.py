"""TLS up to verify-full, and the forms of a URL, through every driver alike; what is wrong is one sentence."""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from penstock.backup.dump import dump
from penstock.errors import PenstockError
from penstock.lookups.connection import connect
from penstock.postgres.account import account
from penstock.postgres.book import Book
from penstock.postgres.databases import with_dagsters_driver
from penstock.postgres_url import libpq_url, shown_hosts, use_system_certificates
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.postgres.certificates import Authority
from tests.engine.postgres.tcp_server import DEBIAN, PASSWORD, TcpServer, needs_debians
from tests.engine.serving.conftest import Start, wait_for

pytestmark = pytest.mark.slow

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder / "authority")


@pytest.fixture(scope="module")
def server(folder: Path, authority: Authority) -> Iterator[TcpServer]:
    """A server of Debian's package that takes nothing but TLS and scram, with a certificate for localhost."""
    made = TcpServer(folder / "server", programs=DEBIAN[-1].parent)
    made.create()
    for source, name in zip(authority.sign("localhost"), ("server.crt", "server.key"), strict=True):
        shutil.copy(source, made.data / name)
        (made.data / name).chmod(0o600)
        account().own(made.data / name)
    made.configure({"ssl": "on"})
    (made.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    made.start()
    yield made
    made.remove()


def by_psycopg(url: str) -> bool:
    with Book("test", url).connect() as connection:
        return connection.execute(ENCRYPTED).fetchone() == (True,)


def by_asyncpg(url: str) -> bool:
    async def ask() -> bool:
        connection = await connect(url)
        try:
            return bool(await connection.fetchval(ENCRYPTED))
        finally:
            connection.terminate()

    return asyncio.run(ask())


def by_adbc(url: str) -> bool:
    with PostgresWarehouse(url).batches(ENCRYPTED) as rows:
        return rows.read_all().column("ssl").to_pylist() == [True]


def by_psycopg2(url: str) -> bool:
    engine = sa.create_engine(with_dagsters_driver(url))
    try:
        with engine.connect() as connection:
            return connection.execute(sa.text(ENCRYPTED)).scalar() is True
    finally:
        engine.dispose()


DRIVERS = pytest.mark.parametrize("driver", [by_psycopg, by_asyncpg, by_adbc, by_psycopg2])
Driver = Callable[[str], bool]


@needs_debians
@DRIVERS
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_every_driver_verifies_the_server_whatever_form_the_url_has(
    server: TcpServer, authority: Authority, driver: Driver, scheme: str
) -> None:
    written = server.url("localhost", f"?sslmode=verify-full&sslrootcert={authority.ca}&connect_timeout=5")
    assert driver(libpq_url("PENSTOCK_PROD_URL", written.replace("postgresql", scheme, 1)))


@needs_debians
@DRIVERS
def test_the_certificates_of_the_system_are_those_of_every_driver(
    server: TcpServer, authority: Authority, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    assert driver(server.url("localhost", "?sslrootcert=system&sslmode=verify-full"))


@needs_debians
@DRIVERS
@pytest.mark.parametrize("wrong", ["another host name", "another authority", "no file of certificates"])
def test_a_server_that_is_not_the_named_one_is_refused_in_one_sentence_without_the_password(
    server: TcpServer, authority: Authority, driver: Driver, wrong: str, tmp_path: Path
) -> None:
    host = "127.0.0.1" if wrong == "another host name" else "localhost"
    ca = {
        "another host name": authority.ca,
        "another authority": Authority(tmp_path / "other").ca if wrong == "another authority" else None,
        "no file of certificates": tmp_path / "absent.crt",
    }[wrong]
    url = server.url(host, f"?sslmode=verify-full&sslrootcert={ca}")
    kinds = (PenstockError, OSError, sa.exc.OperationalError, *_configuration_errors())
    with pytest.raises(kinds) as refused:
        driver(url)
    assert PASSWORD not in str(refused.value)
    if driver is by_psycopg:
        assert str(refused.value).count("\n") == 0
        named = (
            f"certificate file {ca}" if wrong.startswith("no file") else f"a Postgres at {host}:{server.port}, found "
        )
        assert "book 'test'" in str(refused.value)
        assert named in str(refused.value)
        assert "certificate" in str(refused.value)


@needs_debians
def test_a_replica_says_in_its_log_and_in_readyz_why_it_cannot_connect(
    server: TcpServer, authority: Authority, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("127.0.0.1", f"?sslmode=verify-full&sslrootcert={authority.ca}")
    with caplog.at_level(logging.WARNING, "penstock.serve"):
        service = start(url=url)
        wait_for(lambda: "certificate" in service.http.get("/readyz").json()["trouble"])
    assert f"the book at 127.0.0.1:{server.port} cannot be reached" in caplog.text
    assert caplog.text.count("cannot be reached") == 1
    assert PASSWORD not in caplog.text


@needs_debians
def test_a_book_behind_tls_is_dumped_by_the_machines_program(
    server: TcpServer, authority: Authority, tmp_path: Path
) -> None:
    book = Book("test", server.url("localhost", f"?sslmode=verify-full&sslrootcert={authority.ca}"))
    with book.connect() as connection:
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        dump(book, row[0], tmp_path / "dump")
    assert (tmp_path / "dump").read_bytes().startswith(b"PGDMP")


def _configuration_errors() -> tuple[type[Exception], ...]:
    import asyncpg

    return (asyncpg.ClientConfigurationError,)


def test_a_url_that_is_none_is_refused_by_its_variable_without_its_text() -> None:
    for text in (
        "mysql://u:secret@h/d",
        "host=h password=secret",
        "postgresql://u:sec@ret@h/d",
        "postgresql://h/d?a&b",
    ):
        with pytest.raises(PenstockError, match=r"^PENSTOCK_PROD_URL: expected a URL such as postgresql://") as refused:
            libpq_url("PENSTOCK_PROD_URL", text)
        assert "sec" not in str(refused.value)


def test_several_hosts_are_named_in_the_query_which_every_driver_reads() -> None:
    url = libpq_url("PENSTOCK_PROD_URL", "postgres://me:p%40@a:5433,b/books?target_session_attrs=read-write")
    assert url == "postgresql://me:p%40@/books?host=a,b&port=5433,5432&target_session_attrs=read-write"
    assert psycopg.conninfo.conninfo_to_dict(url)["host"] == "a,b"
    assert sa.engine.make_url(with_dagsters_driver(url)).query["port"] == "5433,5432"
    assert shown_hosts(url) == "a:5433,b:5432"


def test_the_systems_certificates_are_found_once_and_what_the_process_names_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("")
    monkeypatch.setattr("penstock.postgres_url._BUNDLES", (str(tmp_path / "absent"), str(bundle)))
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", "")
    use_system_certificates("postgresql://h/d?sslmode=verify-full", "duckdb:///x")
    assert os.environ["SSL_CERT_FILE"] == ""
    use_system_certificates("postgresql://h/d?sslrootcert=system")
    assert os.environ["SSL_CERT_FILE"] == str(bundle)
    monkeypatch.setattr("penstock.postgres_url._BUNDLES", ())
    use_system_certificates("postgresql://h/d?sslrootcert=system")
    assert os.environ["SSL_CERT_FILE"] == str(bundle)
