"""Times of any type, ages, missing ones, and names: the same in training and on every way of serving, or refused."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from penstock.contract.contract import Column, Lookup
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.warehouse.interface import quoted
from tests.engine.training.trial import Local, Trial, Zoned
from tests.slow import slow_after

ASKED = {
    "instant": (Zoned, "TIMESTAMPTZ", "TIMESTAMPTZ"),
    "instant of a naive column": (Zoned, "TIMESTAMP", "TIMESTAMPTZ"),
    "naive": (Local, "TIMESTAMP", "TIMESTAMP"),
    "naive of an instant": (Local, "TIMESTAMP", "TIMESTAMPTZ"),
    "date": (date, "DATE", "DATE"),
    "date of an instant": (date, "DATE", "TIMESTAMPTZ"),
    "instant of a date": (Zoned, "TIMESTAMPTZ", "DATE"),
}


@pytest.mark.parametrize("max_age", [None, timedelta(days=1)])
@pytest.mark.parametrize("name", slow_after(2, ASKED))
def test_any_type_of_time_finds_the_newest_row_that_is_not_too_old(
    name: str, max_age: timedelta | None, tmp_path: Path, book: Book
) -> None:
    asked_type, asked, known = ASKED[name]
    trial = Trial(tmp_path, book, int, "number", asked_at=asked_type, as_of=("at", "asked_at"), max_age=max_age)
    trial.fill(
        f"SELECT 1::BIGINT AS who, d::{known} AS at, n::DOUBLE AS fact FROM "
        "(VALUES ('2026-01-01', 1.0), ('2026-01-03', 3.0), ('2026-01-08', 8.0)) t(d, n)",
        f"SELECT 1::BIGINT AS who, ('2026-01-0' || d)::{asked} AS asked_at, 1.0 AS y FROM range(1, 10) t(d)",
    )
    values, in_memory = trial.run()
    too_old = {5, 6, 7} if max_age else set()
    newest = {1: 1.0, 2: 1.0, 3: 3.0, 4: 3.0, 5: 3.0, 6: 3.0, 7: 3.0, 8: 8.0, 9: 8.0}
    assert [None if value != value else value for value in values] == [  # noqa: PLR0124
        None if day in too_old else value for day, value in newest.items()
    ]
    assert in_memory == 9


def test_a_row_counts_up_to_its_age_and_not_a_microsecond_longer(tmp_path: Path, book: Book) -> None:
    trial = Trial(tmp_path, book, int, "number", as_of=("at", "asked_at"), max_age=timedelta(hours=1, microseconds=3))
    known = "TIMESTAMPTZ '2026-01-05 12:00:00.5+00'"
    trial.fill(
        f"SELECT 1::BIGINT AS who, {known} AS at, 7.5::DOUBLE AS fact",
        f"SELECT 1::BIGINT AS who, {known} + INTERVAL 1 HOUR + to_microseconds(n) AS asked_at, 1.0 AS y "
        "FROM range(6) t(n)",
    )
    values, in_memory = trial.run()
    assert [None if value != value else value for value in values] == [7.5, 7.5, 7.5, 7.5, None, None]  # noqa: PLR0124
    assert in_memory == 6


def test_a_missing_asking_time_is_refused_by_name(tmp_path: Path, book: Book) -> None:
    trial = Trial(tmp_path, book, int, "number")
    trial.fill(
        "SELECT 1::BIGINT AS who, 1.5::DOUBLE AS fact",
        "SELECT 1::BIGINT AS who, NULL::TIMESTAMPTZ AS asked_at, 1.0 AS y",
    )
    trial.model = replace(trial.model, query="SELECT who, asked_at, y FROM asked WHERE :from < :until")
    with pytest.raises(PenstockError, match=r"asked_at.*null"):
        trial.run()


def test_more_categories_than_a_byte_counts(tmp_path: Path, book: Book) -> None:
    trial = Trial(tmp_path, book, str, "text")
    trial.fill(
        "SELECT 'k' || n AS who, 'category ' || n AS fact FROM range(300) t(n)",
        "SELECT 'k' || n AS who, TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y FROM range(300) t(n)",
    )
    values, _ = trial.run()
    assert len(set(values)) == 300


@pytest.mark.parametrize(
    "column",
    slow_after(3, ["select", 'with "quotes"', "Grüße", "with spaces", "with-dashes", "x" * 63, "a.b"]),
)
def test_columns_of_any_name_that_postgres_has(column: str, tmp_path: Path, book: Book) -> None:
    trial = Trial(tmp_path, book, int, "number")
    lookup = Lookup("any lookup's name: " + "y" * 40, "facts", {column: "who"}, (Column(f"{column[:60]}_2", "number"),))
    [name] = lookup.column_names()
    contract = msgspec.structs.replace(
        trial.contract, lookups=(lookup,), compute=lambda columns: {"fact": columns[name]}
    )
    trial.contract = contract
    trial.model = replace(trial.model, contract=contract)
    trial.table = replace(trial.table, key=(column,))
    trial.fill(
        f"SELECT 1::BIGINT AS {quoted(column)}, 1.5::DOUBLE AS {quoted(column[:60] + '_2')}",
        "SELECT 1::BIGINT AS who, TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y",
    )
    assert trial.run()[0] == [1.5]


def test_names_that_cannot_be_are_all_refused_at_declaration() -> None:
    with pytest.raises(PenstockError) as refused:
        Lookup("a.b", "facts", {"x" * 64: "who"}, (Column("y" * 100, "number"),))
    for part in ("name of lookup 'a.b': expected 1 to 63 bytes, no dot", f"found '{'x' * 64}'", f"found '{'y' * 100}'"):
        assert part in str(refused.value)
