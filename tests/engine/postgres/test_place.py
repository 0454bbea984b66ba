"""A database in which no book can live is refused in a sentence, and TEST and PROD are two."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from penstock.errors import Faults
from penstock.postgres import clock, place
from penstock.postgres.book import Book
from penstock.postgres.connecting import BookUnreachable
from penstock.postgres.databases import Databases
from penstock.postgres.migrations import BookError
from penstock.postgres.place import demand_apart, demand_usable
from penstock.settings import Settings
from penstock.testing import as_member
from tests.engine.postgres.tcp_server import TcpServer


@pytest.fixture
def pair() -> Iterator[tuple[TcpServer, TcpServer]]:
    """A server and its standby."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        primary, standby = TcpServer(Path(made) / "primary"), TcpServer(Path(made) / "standby")
        primary.create()
        primary.start()
        standby.create_standby_of(primary, "standby")
        standby.start()
        yield primary, standby
        standby.remove()
        primary.remove()


def refused(book: Book) -> list[str]:
    with book.connect(autocommit=True) as connection:
        try:
            demand_usable(f"book {book.name!r}", connection)
        except Faults as error:
            return error.sentences
        except BookError as error:
            return [str(error)]
    return []


def test_a_book_is_where_its_url_leads_by_whatever_way(book: Book, prod_book: Book, tmp_path: Path) -> None:
    other_way = as_member(book, "penstock_reader")
    assert other_way.url != book.url
    assert other_way.place() == book.place() != prod_book.place()
    demand_apart({"test": book.place(), "prod": prod_book.place()})
    demand_apart({"prod": book.place()})
    settings = Settings(home=tmp_path, test_url=book.url, prod_url=other_way.url, dagster_url=book.url)
    with pytest.raises(BookError, match=r"^PENSTOCK_TEST_URL and PENSTOCK_PROD_URL: expected two databases"):
        Databases(settings).open_books()


@pytest.mark.slow
def test_a_standby_is_another_place_and_can_be_no_book(pair: tuple[TcpServer, TcpServer]) -> None:
    primary, standby = (Book("prod", server.url()) for server in pair)
    assert primary.place() != standby.place()
    assert refused(primary) == []
    assert refused(standby) == [
        "book 'prod': expected a server that can be written, found a standby, which is only read. Name the primary; of "
        "several hosts in the URL, target_session_attrs=read-write finds it."
    ]


def test_all_that_is_wrong_with_a_database_is_said_at_once(
    new_database: Callable[[], str], postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book("test", new_database())
    assert refused(book) == []
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = psycopg.conninfo.conninfo_to_dict(book.url)["dbname"]
        connection.execute(f"DROP DATABASE {name}".encode())
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    really = clock.time.time
    monkeypatch.setattr(clock.time, "time", lambda: really() - 90)
    monkeypatch.setattr(place, "OLDEST_SERVER", 99)
    version, encoding, read_only, off = refused(book)
    assert version.startswith("book 'test': expected Postgres 99 or newer, found Postgres 1")
    assert encoding.startswith("book 'test': expected a database of encoding UTF8, found LATIN1 in ")
    assert read_only.startswith("book 'test': expected a server that can be written, found sessions of ")
    assert off.startswith("clock of the server of book 'test': expected that of this machine to 60 s, found ")
    assert off.endswith(" s ahead. Let both machines follow NTP.")


def test_sessions_of_an_analyst_may_be_only_read(book: Book) -> None:
    reader, pipeline = as_member(book, "penstock_reader"), as_member(book, "penstock_pipeline")
    name = psycopg.conninfo.conninfo_to_dict(book.url)["dbname"]
    with psycopg.connect(book.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    assert refused(reader) == []
    assert [one.partition(", found")[0] for one in refused(pipeline)] == [
        "book 'test': expected a server that can be written"
    ]


def test_a_server_without_a_free_place_is_said_with_what_to_do(book: Book) -> None:
    member = as_member(book, "penstock_reader")
    name = psycopg.conninfo.conninfo_to_dict(book.url)["dbname"]
    with psycopg.connect(book.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0".encode())
    with pytest.raises(BookUnreachable, match=r"found .*too many connections for database .* All its places are taken"):
        member.version()


@pytest.mark.slow
def test_a_wrong_password_or_user_is_said_with_what_to_do(pair: tuple[TcpServer, TcpServer]) -> None:
    server, _ = pair
    for wrong in (server.url().replace("postgres:", "nobody:", 1), server.url().replace("word", "words")):
        with pytest.raises(BookUnreachable, match=r"authentication failed .* Correct user and password in the URL"):
            Book("test", wrong).version()
