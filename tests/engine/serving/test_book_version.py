"""A replica whose code does not work with its book says so, and goes on by itself when it does."""

from pathlib import Path
from typing import Any

import pytest

from penstock.postgres.book import Book
from penstock.postgres.migrations import newest
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for


def readiness(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.http.get("/readyz").json()
    return found


@pytest.mark.slow
def test_code_that_is_older_than_the_book_serves_nothing_and_says_what_to_install(
    start: Start, book: Book, tmp_path: Path
) -> None:
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    with book.connect() as connection:
        connection.execute("INSERT INTO app.migration (number, name, digest) VALUES (%s, 'later', '')", (newest() + 1,))
    service = start()
    found = readiness(service)
    assert (found["ready"], found["book"]) == (False, False)
    assert found["trouble"] == (
        f"the book of this service: expected at most version {newest()}, the newest that this Penstock knows, found "
        f"version {newest() + 1}. Install the newer Penstock."
    )
    assert service.ask().status_code == 503


@pytest.mark.slow
def test_a_book_that_is_older_than_the_code_is_served_as_soon_as_it_is_migrated(
    start: Start, book: Book, tmp_path: Path
) -> None:
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    with book.connect() as connection:
        connection.execute("DELETE FROM app.migration WHERE number = %s", (newest(),))
    service = start()
    assert readiness(service)["trouble"].endswith(f"found version {newest() - 1}. Run `penstock migrate`.")
    book.migrate()
    wait_for(lambda: readiness(service)["ready"], 10)
    assert readiness(service)["trouble"] == ""
    assert service.ask().status_code == 200
