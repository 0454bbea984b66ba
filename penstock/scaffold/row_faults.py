"""What is wrong with outcomes, key and asking time of the rows of a new model."""

from collections.abc import Sequence

from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR
from penstock.quantity import counted
from penstock.scaffold import casts
from penstock.scaffold.lookup_plan import Reader
from penstock.scaffold.model_plan import Source
from penstock.scaffold.profile import Column, Table, repeated


def role_faults(outcomes: Sequence[Column], key: Sequence[Column], asked: Column, table: Table) -> list[str]:
    """A column is one of outcomes, key and asking time; where one is not, what else is wrong with the time."""
    alone = "; where all rows are about one and the same, a query says it (SELECT 'all' AS series, …)"
    faults = [f"--key {c.name}: it is the asking time; name what is asked about{alone}" for c in key if c is asked]
    for outcome in outcomes:
        faults += [f"--key {c.name}: it is the outcome; name what is asked about" for c in key if c is outcome]
        faults += [f"--asked-at {asked.name}: it is the outcome"] if asked is outcome else []
    return [*faults, *time_faults(asked, table)] if faults else []


def time_faults(asked: Column, table: Table) -> list[str]:
    """Why the asking time is none; empty where it is one."""
    if asked.storage is None or asked.storage.kind != "time":
        return [f"--asked-at {asked.name}: expected a date or a time, found {asked.type}{_times(table, asked)}"]
    if asked.outside:
        years, found = f"times of the years {FIRST_YEAR} to {LAST_YEAR}", f"{asked.outside:,} beyond them"
        return [f"--asked-at {asked.name}: expected {years}, found {found}; leave these rows out in a query"]
    return (
        [f"--asked-at {asked.name}: expected times, found none in {counted(table.rows, 'row')}"] if asked.empty else []
    )


def key_faults(reader: Reader, rows: Source, table: Table, key: Sequence[Column], asked: Column) -> list[str]:
    """Why the key does not say which row is which; empty where it does."""
    faults = [
        f"--key {c.name}: expected a type with exact equality, found {c.type}; cast it in a query"
        for c in key
        if _is_inexact(c)
    ]
    faults += [f"--key {c.name}: expected values, found none" for c in key if c.empty]
    if faults:
        return faults
    twice = repeated(reader.warehouse, table.query, [*(column.name for column in key), asked.name])
    if twice is not None:
        count = twice.pop("penstock_n")
        where = ", ".join(f"{name}={value}" for name, value in twice.items())
        faults.append(
            f"--key {','.join(column.name for column in key)}: expected one row of {rows.said} per key and"
            f" {asked.name}, found {count:,} with {where}; widen the key, or group in a query (--from QUERY.sql)"
        )
    return faults


def _is_inexact(column: Column) -> bool:
    return column.storage is None or (column.storage.python == "float" and not column.is_whole_decimal)


def _times(table: Table, asked: Column) -> str:
    """What to do about an asking time that is none."""
    times = [c.name for c in table.columns.values() if c.storage is not None and c.storage.kind == "time"]
    there = f"; {', '.join(times)} would do" if times else f"; no column of {len(table.columns)} is one"
    if asked.storage is None or asked.storage.python not in ("str", "int", "float"):
        return there
    return f"{there}; a query (--from QUERY.sql) makes one of it, such as {casts.time(asked)}"
