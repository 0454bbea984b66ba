"""The measurements of publishing do what they say, in their short forms."""

import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from benchmarks.chaos import publish as chaos_publish
from benchmarks.publish import __main__ as publish
from penstock.postgres.book import Book


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "any.duckdb"
    with duckdb.connect(str(made)) as connection:
        connection.execute('CREATE TABLE "some table" AS SELECT i AS a, i % 3 AS b, i % 5 AS c FROM range(1000) t(i)')
    return made


@pytest.mark.slow
def test_one_table_of_a_duckdb_file_is_published_and_measured(file: Path, book: Book) -> None:
    arguments = [
        "--duckdb",
        str(file),
        "--table",
        "some table",
        "--key",
        "b,a",
        "--index",
        "c",
        "--dsn",
        book.url,
        "--json",
    ]
    for _ in range(2):
        done = CliRunner().invoke(publish.main, arguments, catch_exceptions=False)
        measured = json.loads(done.output)
        assert measured.keys() >= {"rows", "seconds", "verify_seconds", "peak_rss_mb", "digest"}
        assert (measured["rows"], measured["skipped"]) == (1000, False)
    with book.connect() as connection:
        assert connection.execute('SELECT count(*), sum(a) FROM replicated."some table"').fetchone() == (1000, 499500)
        indexes = connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'some table%'").fetchall()
    assert sorted(definition.split("(")[1] for (definition,) in indexes) == ["b, a)", "c)"]


@pytest.mark.slow
def test_chaos_counts_kills_and_switches_and_finds_nothing_lost() -> None:
    arguments = ["--kills", "2", "--switches", "8", "--lookups", "800", "--rows", "2000", "--json"]
    done = CliRunner().invoke(chaos_publish.main, arguments, catch_exceptions=False)
    counts = json.loads(done.output)
    assert done.exit_code == 0, counts
    assert counts["killed"] == {"kills": 2, "current tables not whole": 0, "leftovers": 0}
    assert counts["switched"]["switches"] >= 8
    assert counts["switched"]["lookups"] >= 800
