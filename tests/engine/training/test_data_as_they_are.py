"""Data as they are: each type of key and column is equal to the bit in training, lookup, memory and replay, or refused
by name before anything is trained."""

from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from penstock.contract.request_types import Kind
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from tests.engine.training.trial import Local, Trial, Zoned
from tests.slow import slow_after

pytestmark = pytest.mark.slow


class Mood(Enum):
    OK = "ok"
    SAD = "sad"


KEYS = {
    "bigint": (int, "9007199254740993::BIGINT", "9007199254740992::BIGINT"),
    "smallint": (int, "1::SMALLINT", "-2::SMALLINT"),
    "tinyint": (int, "1::TINYINT", "(-2)::TINYINT"),
    "utinyint": (int, "255::UTINYINT", "0::UTINYINT"),
    "ubigint": (int, "9007199254740993::UBIGINT", "0::UBIGINT"),
    "hugeint": (int, "9007199254740993::HUGEINT", "0::HUGEINT"),
    "decimal": (int, "7::DECIMAL(10, 0)", "8::DECIMAL(10, 0)"),
    "boolean": (bool, "true", "false"),
    "date": (date, "DATE '2026-01-02'", "DATE '0004-02-29'"),
    "local time": (Local, "TIMESTAMP '2026-01-02 03:04:05.123456'", "TIMESTAMP '1900-01-01'"),
    "seconds": (Local, "TIMESTAMP_S '2026-01-02 03:04:05'", "TIMESTAMP_S '1900-01-01'"),
    "instant": (Zoned, "TIMESTAMPTZ '2026-01-02 03:04:05.123456+02'", "TIMESTAMPTZ '1900-01-01 00:00+00'"),
    "uuid": (str, "'0e37df36-f698-11e6-8dd4-cb9ced3df976'::UUID", "'1e37df36-f698-11e6-8dd4-cb9ced3df976'::UUID"),
    "enum": (str, "'ok'::mood", "'sad'::mood"),
    "enum as Enum": (Mood, "'ok'::mood", "'sad'::mood"),
    "text as Enum": (Mood, "'ok'", "'sad'"),
    "text as Literal": (Literal["ok", "sad"], "'ok'", "'sad'"),
    "number as Literal": (Literal[1, 2], "1::BIGINT", "2::BIGINT"),
    "char": (str, "'ab  '::CHAR(4)", "'cd'::CHAR(4)"),
    "text": (str, "'Ä ''\"\n'", "''"),
    "optional": (str | None, "'a'", "'b'"),
}


@pytest.mark.parametrize("name", slow_after(5, KEYS))
def test_a_key_finds_its_row_on_every_way(name: str, tmp_path: Path, book: Book) -> None:
    who, first, second = KEYS[name]
    trial = Trial(tmp_path, book, who, "number")
    facts = f"SELECT {first} AS who, 1.5::DOUBLE AS fact UNION ALL SELECT {second}, 2.5::DOUBLE"
    times = "TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y"
    trial.fill(facts, f"SELECT {first} AS who, {times} UNION ALL SELECT {second}, {times}")
    values, in_memory = trial.run()
    assert sorted(values) == [1.5, 2.5]
    assert in_memory == (0 if name in {"hugeint", "decimal"} else 2)


COLUMNS: dict[str, tuple[Kind, list[str], list[Any]]] = {
    "bigint": ("number", ["9007199254740992::BIGINT", "NULL"], [9007199254740992.0, None]),
    "tinyint": ("number", ["(-128)::TINYINT", "127::TINYINT"], [-128.0, 127.0]),
    "float": ("number", ["0.1::FLOAT", "NULL"], [float(np.float32(0.1)), None]),
    "nan and null": ("number", ["'nan'::DOUBLE", "NULL"], [None, None]),
    "infinite": ("number", ["'inf'::DOUBLE", "'-inf'::DOUBLE"], [float("inf"), float("-inf")]),
    "smallest": ("number", ["5e-324::DOUBLE", "-0.0::DOUBLE"], [5e-324, -0.0]),
    "decimal": ("number", ["0.35::DECIMAL(10, 2)", "6.02::DECIMAL(10, 2)"], [0.35, 6.02]),
    "wide decimal": ("number", ["0.1::DECIMAL(38, 20)", "NULL"], [0.1, None]),
    "hugeint": ("number", ["7::HUGEINT", "NULL"], [7.0, None]),
    "boolean": ("number", ["true", "NULL"], [1.0, None]),
    "date": ("time", ["DATE '2026-01-02'", "NULL"], [1767312000000000.0, None]),
    "local time": ("time", ["TIMESTAMP '2026-01-02 00:00:00.000001'", "NULL"], [1767312000000001.0, None]),
    "instant": ("time", ["TIMESTAMPTZ '2026-01-02 02:00+02'", "NULL"], [1767312000000000.0, None]),
    "nanoseconds": ("time", ["TIMESTAMP_NS '2026-01-02 00:00:00'", "NULL"], [1767312000000000.0, None]),
    "uuid": (
        "text",
        ["'0e37df36-f698-11e6-8dd4-cb9ced3df976'::UUID", "NULL"],
        ["0e37df36-f698-11e6-8dd4-cb9ced3df976", None],
    ),
    "enum": ("text", ["'sad'::mood", "NULL"], ["sad", None]),
    "char": ("text", ["'ab '::CHAR(3)", "''"], ["ab ", ""]),
}


@pytest.mark.parametrize("name", slow_after(6, COLUMNS))
def test_a_column_is_the_same_on_every_way(name: str, tmp_path: Path, book: Book) -> None:
    kind, literals, expected = COLUMNS[name]
    trial = Trial(tmp_path, book, int, kind)
    facts = " UNION ALL ".join(f"SELECT {n}::BIGINT AS who, {text} AS fact" for n, text in enumerate(literals))
    trial.fill(
        facts,
        f"SELECT n AS who, TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y FROM range({len(literals)}) t(n)",
    )
    values, _ = trial.run()
    plain = [None if value is None or value != value else value for value in values]  # noqa: PLR0124
    assert [repr(value) for value in plain] == [repr(value) for value in expected]


REFUSED: dict[str, tuple[Any, str, Kind, str]] = {
    "integer as number": (int, "9007199254740993::BIGINT", "number", "fact"),
    "integer as text": (int, "7::BIGINT", "text", "fact"),
    "text as number": (int, "'7'", "number", "fact"),
    "time of day": (int, "TIME '12:00'", "time", "fact"),
    "time of day with a zone": (int, "'12:00:00+02'::TIMETZ", "time", "fact"),
    "time as number": (int, "DATE '2026-01-01'", "number", "fact"),
    "number as time": (int, "7", "time", "fact"),
    "bytes": (int, "'ab'::BLOB", "text", "fact"),
    "interval": (int, "INTERVAL 1 DAY", "number", "fact"),
    "list": (int, "[1, 2]", "number", "fact"),
    "infinite time": (int, "'infinity'::TIMESTAMP", "time", "fact"),
    "year 10000": (int, "TIMESTAMP '10000-01-01'", "time", "fact"),
    "date before Christ": (int, "DATE '0044-03-15 (BC)'", "time", "fact"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_column_that_nothing_can_hold_is_refused_by_name_before_training(
    name: str, tmp_path: Path, book: Book
) -> None:
    who, literal, kind, said = REFUSED[name]
    trial = Trial(tmp_path, book, who, kind)
    trial.fill(
        f"SELECT 1::BIGINT AS who, {literal} AS fact",
        "SELECT 1::BIGINT AS who, TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y",
    )
    with pytest.raises(PenstockError, match=said) as refused:
        trial.run()
    assert "fact" in str(refused.value)


MISMATCHED = {
    "text for a number": (int, "'7'"),
    "number for a text": (str, "7::BIGINT"),
    "bytes": (str, "'ab'::BLOB"),
    "date for a text": (str, "DATE '2026-01-01'"),
    "time of day": (str, "TIME '12:00'"),
    "float": (float, "1.5::DOUBLE"),
}


@pytest.mark.parametrize("name", MISMATCHED)
def test_a_key_of_another_type_than_its_field_is_refused_by_name(name: str, tmp_path: Path, book: Book) -> None:
    who, literal = MISMATCHED[name]
    trial = Trial(tmp_path, book, who, "number")
    facts = f"SELECT {literal} AS who, 1.5::DOUBLE AS fact"
    trial.fill(facts, f"SELECT {literal} AS who, TIMESTAMPTZ '2026-01-05 00:00+00' AS asked_at, 1.0 AS y")
    with pytest.raises(PenstockError) as refused:
        trial.run()
    assert "who" in str(refused.value)
