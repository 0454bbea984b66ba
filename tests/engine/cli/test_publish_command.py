"""`penstock publish`: from the warehouse into both books, and a group always as a whole."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from penstock.cli.publish import publish
from penstock.declare import discovery as declarations
from penstock.declare.project import Declarations
from penstock.postgres.book import Book
from tests.engine.publishing import declared


def test_a_table_is_published_with_those_of_its_group(
    tmp_path: Path, book: Book, prod_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shop.duckdb"
    for name, value in (
        ("HOME", tmp_path),
        ("TEST_URL", book.url),
        ("PROD_URL", prod_book.url),
        ("DAGSTER_URL", book.url),
    ):
        monkeypatch.setenv(f"PENSTOCK_{name}", str(value))
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", f"duckdb:///{file}")
    with duckdb.connect(str(file)) as connection:
        for name in ("orders", "lines", "shops"):
            connection.execute(f"CREATE TABLE {name} AS SELECT i AS key FROM range(9) t(i)")
    tables = {
        name: replace(declared(name, group=group), query=f"SELECT * FROM {name}")
        for name, group in (("orders", "sales"), ("shops", ""), ("lines", "sales"))
    }
    monkeypatch.setattr(declarations, "declared", lambda: Declarations(tables=tables))

    done = CliRunner().invoke(publish, ["lines", "--json"], catch_exceptions=False)
    published = [(one["book"], one["table"], one["rows"]) for one in json.loads(done.stdout)]
    assert published == [(name, table, 9) for name in ("test", "prod") for table in ("lines", "orders")]
    done = CliRunner().invoke(publish, ["--all", "--test-only", "--json"], catch_exceptions=False)
    published = [(one["book"], one["table"], one["skipped"]) for one in json.loads(done.stdout)]
    assert published == [("test", "lines", True), ("test", "orders", True), ("test", "shops", False)]
