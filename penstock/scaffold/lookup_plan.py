"""One lookup of a new model: its key, whether that is unique, and the columns that are of use."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from penstock.declare.table import ReplicatedTable
from penstock.quantity import counted
from penstock.scaffold.model_files import table_query
from penstock.scaffold.model_plan import Field, LookupPlan, Source, instant, is_beyond_exact, useless
from penstock.scaffold.names import identifier
from penstock.scaffold.numbering import note_names, note_numberings
from penstock.scaffold.profile import AS_TEXT, INSTANT, WALL_CLOCK, Column, Progress, Table, ask, named, read, repeated
from penstock.scaffold.sources import LookupOption
from penstock.warehouse.interface import Warehouse, WarehouseError, quoted

LONGEST_LOOKUP, LONGEST_BOTH = 20, 44


@dataclass(frozen=True)
class Reader:
    """Reads what a query of the warehouse returns, and shows how far it is."""

    warehouse: Warehouse
    progress: Progress
    zone: str = ""
    """In which times without a time zone are read, as instants; without it they are local times, and UTC."""

    def read(self, source: Source, *, events: bool) -> Table:
        """Every row of a source. What numbers its rows is noted of `events`: of things it may be a rank."""
        table = read(self.warehouse, source.query, self.progress)
        if events:
            note_numberings(self.warehouse, table)
        for column in table.columns.values():
            if self.zone and column.storage == WALL_CLOCK:
                column.storage = replace(INSTANT, zone=self.zone)
        return table


def lookup_plan(
    option: LookupOption,
    source: Source,
    reader: Reader,
    rows: Source,
    fields: Sequence[Field],
    asked: Column,
    declared: Mapping[str, ReplicatedTable],
    model: str,
    before: Sequence[LookupPlan],
) -> LookupPlan:
    """The plan of one lookup; ValueError where it cannot be one. `asked` is the column of the asking time."""
    said = f"--lookup {option.table}"
    table = reader.read(source, events=bool(option.known_at))
    if not table.rows:
        raise ValueError(f"{said}: expected rows, found none")
    known_at = named(table, option.known_at, said) if option.known_at else None
    if known_at is not None and (known_at.storage is None or known_at.storage.kind != "time"):
        raise ValueError(f"{said}@{known_at.name}: expected a date or a time, found {known_at.type}")
    pairs = _pairs(option, reader, table, fields, asked, known_at, said)
    taken = [plan.name for plan in before]
    plain = source.table.lower() or option.table.rpartition("/")[2].partition(".")[0]
    name = identifier(plain, taken, LONGEST_LOOKUP)
    key_fields, names = [], list[str]()
    for column, field in pairs:
        text = field.storage == AS_TEXT or is_beyond_exact(column) or is_beyond_exact(field.column)
        storage = AS_TEXT if text and column.storage is not None and column.storage.python == "int" else column.storage
        key_fields.append(
            Field(identifier(column.name, names, LONGEST_BOTH), column, storage or AS_TEXT, bounded=False)
        )
        names.append(key_fields[-1].name)
    moment = (
        instant(identifier(known_at.name, names, LONGEST_BOTH), known_at, reader.zone) if known_at is not None else None
    )
    names += [moment.name] if moment else []
    columns: list[Field] = []
    left_out, keys = dict(table.unreadable), [one for one, _ in pairs]
    note_names([one for one in table.columns.values() if one not in keys])
    for column in table.columns.values():
        if column in keys or column is known_at:
            continue
        if (reason := useless(column)) or column.storage is None:
            left_out[column.name] = reason
            continue
        own = identifier(column.name, names, LONGEST_BOTH - len(name) - 1)
        columns.append(Field(own, column, column.storage, optional=column.missing))
        names.append(own)
    if not columns:
        raise ValueError(
            f"{said}: expected a column of use beside its key, found none among {', '.join(table.columns)}"
        )
    key = {own.name: field.name for own, (_, field) in zip(key_fields, pairs, strict=True)}
    theirs = [joined(field, own) for (_, field), own in zip(pairs, key_fields, strict=True)]
    found = _found(reader.warehouse, rows, source, theirs, key_fields)
    more = _found(reader.warehouse, rows, source, theirs, key_fields, by_bytes=False) if found < asked.rows else 0
    if more > found:
        raise ValueError(
            f"{said}: expected texts that are equal byte by byte, as a service compares them, found {more - found:,}"
            f" more of the {counted(asked.rows, 'row')} to be equal by a type such as citext, or a collation; bring"
            f" both into one form in queries, such as lower(CAST({quoted(pairs[0][0].name)} AS VARCHAR)), and let"
            " callers send it"
        )
    if not found:
        raise ValueError(
            f"{said}: expected rows of it by {' and '.join(c.name for c, _ in pairs)}, found none for any row that is"
            f" asked about: {_unlike(pairs)}; name another key ({option.table}:KEY=FIELD), or bring both into one form"
            " in a query"
        )
    plan = LookupPlan(name, plain, source, table.rows, key, key_fields, moment, columns, found=found, left_out=left_out)
    if plain in declared and _holds(declared[plain], plan):
        return replace(plan, shared=True)
    tables = [*declared, *(one.table for one in before)]
    replicated = identifier(f"{model}_{plain}" if plain in declared else plain, tables, 50)
    return replace(plan, table=replicated)


def joined(field: Field, own: Field) -> Field:
    """The request field as a lookup that is keyed by it needs it: a text where the table's key is one."""
    return replace(field, storage=AS_TEXT) if own.storage == AS_TEXT else field


def _found(
    warehouse: Warehouse,
    rows: Source,
    table: Source,
    asked: Sequence[Field],
    own: Sequence[Field],
    *,
    by_bytes: bool = True,
) -> int:
    """How many of the rows that are asked about have a row of the table, whenever that was known.

    Not `by_bytes`, the warehouse compares as it would by itself; 0 where it cannot.
    """
    sides = []
    for distinct, place, fields in (("", rows, asked), ("DISTINCT ", table, own)):
        keys = ", ".join(f"{field.expression} AS k{number}" for number, field in enumerate(fields))
        side = f"SELECT {distinct}{keys} FROM {place.text}"
        sides.append(warehouse.natural(side) if by_bytes else side)
    equal = " AND ".join(f"a.k{number} = b.k{number}" for number in range(len(own)))
    query = f"SELECT count(*) AS n FROM (\n{sides[0]}) AS a JOIN (\n{sides[1]}) AS b ON {equal}"
    try:
        return int(ask(warehouse, query)[0]["n"])
    except WarehouseError:
        if by_bytes:
            raise
        return 0


def _unlike(pairs: Sequence[tuple[Column, Field]]) -> str:
    return ", ".join(
        f"{column.name} is such as {column.example!r}, and {field.column.name} {field.column.example!r}"
        for column, field in pairs
    )


def _holds(table: ReplicatedTable, plan: LookupPlan) -> bool:
    """Whether a table that is declared has the rows, the key and the columns of a lookup."""
    if table.query.split() == table_query(plan).split():
        return True
    keys = [*plan.key_fields, *([plan.known_at] if plan.known_at else [])]
    cast = any(field.storage.cast for field in plan.key_fields)
    return (
        not cast
        and plan.source.text in table.query
        and {field.name for field in keys} == set(table.key)
        and {field.name for field in plan.columns} <= table.rows_shape.columns.keys()
    )


def _pairs(
    option: LookupOption,
    reader: Reader,
    table: Table,
    fields: Sequence[Field],
    asked: Column,
    known_at: Column | None,
    said: str,
) -> list[tuple[Column, Field]]:
    """The key's columns, each with its request field: as declared, or the fewest common ones that are unique."""
    by_name = {field.column.name.lower(): field for field in fields}
    if option.key:
        pairs = []
        for column_name, field_name in option.key.items():
            column = named(table, column_name, said)
            field = by_name.get(field_name.lower()) or next((f for f in fields if f.name == field_name), None)
            if field is None:
                raise ValueError(
                    f"{said}:{column_name}={field_name}: expected a column of the rows that are asked about,"
                    f" one of {', '.join(f.column.name for f in fields)}"
                    + (_asking_time(asked) if field_name.lower() == asked.name.lower() else "")
                )
            pairs.append((column, field))
        choices = [pairs]
    else:
        common = [(c, by_name[c.name.lower()]) for c in table.columns.values() if c.name.lower() in by_name]
        common = [pair for pair in common if pair[0] is not known_at]
        unlike = [_difference(*pair) for pair in common if _differ(*pair)]
        common = [pair for pair in common if not _differ(*pair)]
        choices = [list(some) for size in (1, 2, 3) for some in itertools.combinations(common[:8], size)]
        if not choices:
            lacks = f"only {', '.join(unlike)}" if unlike else "none"
            cast = ", or cast one of the two, or both, in a query" if unlike else ""
            if asked.name.lower() in (name.lower() for name in table.columns):
                cast += _asking_time(asked)
            raise ValueError(
                f"{said}: expected a column in common with the rows that are asked about, found {lacks}; say which it"
                f" is joined by ({option.table}:KEY=FIELD){cast}"
            )
    twice: dict[str, Any] = {}
    names: list[str] = []
    for pairs in choices:
        for column, field in pairs:
            if _differ(column, field):
                raise ValueError(
                    f"{said}:{column.name}={field.column.name}: expected columns of one type with exact equality,"
                    f" found {_difference(column, field)}; cast one of the two, or both, in a query"
                )
        names = [*(column.name for column, _ in pairs), *([known_at.name] if known_at else [])]
        found = repeated(reader.warehouse, table.query, names)
        if found is None:
            return pairs
        twice = found
    count = twice.pop("penstock_n")
    where = ", ".join(f"{name}={value}" for name, value in twice.items())
    raise ValueError(
        f"{said}: expected one row per {' and '.join(names)}, found {count:,} with {where}; name a wider key, the time"
        f" since when a row is known (@KNOWN_AT), or a query that groups ({option.table}.sql)"
    )


def _asking_time(asked: Column) -> str:
    again = identifier(f"{asked.name}_again")
    return (
        f"; {asked.name} is the asking time, which no table is joined by: select it twice in a query (--from QUERY.sql)"
        f", as {quoted(asked.name)} and as {again}"
    )


def _difference(column: Column, field: Field) -> str:
    if column.storage == field.column.storage:
        return f"{column.name}, which is {column.type}: a type without exact equality"
    return f"{column.name} of another type ({column.type}, where the rows have {field.column.type})"


def _differ(column: Column, field: Field) -> bool:
    """Whether the two cannot be compared exactly."""
    ours, theirs = column.storage, field.column.storage
    return (
        ours is None
        or theirs is None
        or ours.python != theirs.python
        or ours.python == "float"
        or (ours.kind == "time" and ours != theirs)
    )
