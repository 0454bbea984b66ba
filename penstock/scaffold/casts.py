"""SQL that makes numbers, times or missing values of what a column says in another type."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from penstock.quantity import counted
from penstock.scaffold.profile import Column
from penstock.scaffold.text_forms import day_format, of_postgres
from penstock.warehouse.interface import quoted

UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
LATEST_SECOND = 1e11
"""Since 1970; more are milliseconds, a thousand times more microseconds."""
RECENT = (datetime(1995, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC))
"""Numbers all of which are seconds, or parts of seconds, since 1970 of these years are no amounts."""
YEARS, DAYS, RECENT_DAYS = range(1000, 3000), range(1000_01_01, 3000_01_01), range(1900_01_01, 2100_01_01)
"""Whole numbers that are years, and days as 20261125."""
MOST_NAMED = 5


def known(column: Column) -> str:
    """The column, with nulls for the texts that stand for a missing value."""
    made = quoted(column.name)
    for marker in column.markers:
        made = f"NULLIF({made}, '{marker}')"
    return made


def number(column: Column) -> str:
    """What makes a number of a text that is one, but for markers."""
    return f"CAST({known(column)} AS DOUBLE PRECISION)"


def todo(column: Column) -> str:
    """What is to be done about texts that are numbers or times."""
    if column.mostly("days"):
        return f"read them in a query (--from QUERY.sql), such as {time(column)}"
    made = number(column) if column.mostly("numbers") else time(column)
    return "cast them in a query (--from QUERY.sql)" + (f", such as {made}" if column.markers else "")


def time(column: Column) -> str:
    """What makes a time of a column of texts or numbers, in a query of DuckDB and of Postgres."""
    plain, both = quoted(column.name), " in DuckDB and Postgres"
    if column.storage is not None and column.storage.python == "str":
        if column.mostly("times"):
            return f"CAST({known(column)} AS TIMESTAMP){both}"
        form = day_format(column.example if column.mostly("days") else "")
        return (
            f"strptime({known(column)}, '{form}') in DuckDB or to_timestamp({known(column)}, '{of_postgres(form)}') in"
            f" Postgres, with the format of {column.example!r}"
        )
    if _are_within(column, YEARS):
        return f"make_date(CAST(floor({plain}) AS INT), 1, 1){both}, the first day of a year"
    if _are_within(column, DAYS):
        text = f"CAST({plain} AS VARCHAR)"
        return f"strptime({text}, '%Y%m%d') in DuckDB or to_date({text}, 'YYYYMMDD') in Postgres"
    parts = 1
    while not column.empty and column.greatest > LATEST_SECOND * parts:
        parts *= 1_000
    return f"to_timestamp({plain}{f' / {parts}.0' if parts > 1 else ''}){both}"


def time_of_numbers(column: Column) -> str:
    """How numbers are times, with the first and the last; empty where they are none."""
    if column.empty or column.storage is None or column.storage.python not in ("int", "float"):
        return ""
    since = datetime(1970, 1, 1, tzinfo=UTC)
    first, last = ((end - since).total_seconds() for end in RECENT)
    for unit, parts in UNITS.items():
        if first * parts <= column.least and column.greatest <= last * parts:
            ends = (since + timedelta(seconds=int(value) / parts) for value in (column.least, column.greatest))
            return f"{unit} since 1970, as it seems, of {' to '.join(f'{end:%Y-%m-%d}' for end in ends)}"
    if _are_within(column, RECENT_DAYS) and all(map(_is_day, column.values or (column.least, column.greatest))):
        return f"days as whole numbers, as it seems, of {column.least:.0f} to {column.greatest:.0f}"
    return ""


def marked(columns: Iterable[Column]) -> list[str]:
    """What to do about texts that stand for a missing value in columns that are used as they are."""
    there = [column for column in columns if column.markers]
    numbers = [column for column in there if column.mostly("numbers")]
    texts = [column for column in there if column not in numbers]
    said = []
    for some, made, kind in ((numbers, number, "make texts of numbers"), (texts, known, "are texts like any other")):
        if some:
            markers = ", ".join(sorted({repr(marker) for column in some for marker in column.markers}))
            more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
            names = ", ".join(column.name for column in some[:MOST_NAMED]) + more
            said.append(
                f"{markers} in {names} {kind}; where nothing is known by it, a query (--from QUERY.sql) says"
                f" {made(some[0])}, or the file is loaded so (read_csv(…, nullstr = …) in DuckDB)"
            )
    return said


def none(columns: Mapping[str, Column]) -> list[str]:
    """How many numbers of columns that are used, by what these are called, are none."""
    there = {name: column.unfinite for name, column in columns.items() if column.unfinite}
    words = {name: ("is", "it is") if count == 1 else ("are", "they are") for name, count in there.items()}
    return [
        f"{counted(count, 'number')} of {name} {words[name][0]} NaN or infinite, which no request holds:"
        f" {words[name][1]} read as missing"
        for name, count in there.items()
    ]


def _is_day(number: float) -> bool:
    with suppress(ValueError):
        return bool(date(int(number) // 10_000, int(number) // 100 % 100, int(number) % 100)) and number == int(number)
    return False


def _are_within(column: Column, numbers: range) -> bool:
    return not column.empty and numbers[0] <= column.least and column.greatest <= numbers[-1]
