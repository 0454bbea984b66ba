"""The parts of a process: made from its environment, each when it is first used, and once."""

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from penstock.postgres.migrations import BookError
from penstock.runtime import Runtime
from penstock.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, book: Book, prod_book: Book) -> Settings:
    return Settings(home=tmp_path, test_url=book.url, prod_url=prod_book.url, dagster_url=book.url)


def test_each_part_is_what_the_settings_name_and_is_made_once(settings: Settings, book: Book) -> None:
    runtime = Runtime(settings)

    assert runtime.books.test == book
    assert runtime.snapshots.url == settings.snapshots
    assert runtime.artifacts.url == settings.artifacts
    for part in ("books", "snapshots", "artifacts", "cards", "warehouse", "declared"):
        assert getattr(runtime, part) is getattr(runtime, part)


def test_a_book_that_cannot_be_opened_is_tried_again(settings: Settings, book: Book) -> None:
    runtime = Runtime(settings)
    with book.connect() as connection:
        connection.execute("INSERT INTO app.migration (number, name, digest) VALUES (9999, 'newer', '')")
    with pytest.raises(BookError, match="Install the newer Penstock"):
        _ = runtime.books

    with book.connect() as connection:
        connection.execute("DELETE FROM app.migration WHERE number = 9999")
    assert runtime.books.test == book


def test_a_part_that_is_not_used_is_not_imported(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from penstock.runtime import Runtime
from penstock.settings import Settings
Runtime(Settings(home=Path({str(tmp_path)!r}))).artifacts
print(*sorted(sys.modules))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "penstock.releases.artifacts" in loaded
    assert not {"psycopg", "pyarrow", "duckdb", "sqlalchemy", "pandas", "dagster"} & set(loaded)
