"""Settings that assets read, for tests of single assets."""

from datetime import timedelta
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from tests.engine.publishing import NOON


@pytest.fixture
def an_hour_later(tmp_path: Path, book: Book, prod_book: Book, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a system over both books, an hour after NOON; its home."""
    for name, value in (
        ("HOME", str(tmp_path)),
        ("TEST_URL", book.url),
        ("PROD_URL", prod_book.url),
        ("DAGSTER_URL", book.url),
    ):
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    monkeypatch.setenv("PENSTOCK_NOW", (NOON + timedelta(hours=1)).isoformat())
    return tmp_path
