"""Running a preparation inside the warehouse: all or nothing, tested, and only when what it reads has changed."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from penstock.declare.preparation import Preparation
from penstock.declare.shape import ShapeError, shape_check, shape_text
from penstock.errors import PenstockError
from penstock.extract.prepared_grants import COPIED, repeated_grants
from penstock.quantity import counted
from penstock.warehouse.interface import ColumnTypesError, Warehouse, WarehouseError, quoted
from penstock.warehouse.query_text import subquery

SCHEMA = "prepared"
STATE = f"{SCHEMA}.penstock_preparation"
"""The table of what was prepared from which version. It is written once the tests have passed."""
RENAMES_IN_A_TRANSACTION = frozenset({"duckdb", "postgresql", "redshift"})
"""Dialects that replace a table by dropping and renaming in one transaction; elsewhere by CREATE OR REPLACE."""


class ColumnTest(msgspec.Struct, frozen=True):
    """One test of a prepared table: its name, whether it passed, and what was found."""

    name: str
    passed: bool
    found: str


class PreparationResult(msgspec.Struct, frozen=True):
    """A table that was prepared, or was left as it is because nothing that it reads has changed (`skipped`)."""

    name: str
    rows: int
    skipped: bool
    tests: tuple[ColumnTest, ...] = ()


class PreparationError(PenstockError):
    """A prepared table did not pass its `tests`."""

    def __init__(self, preparation: Preparation, rows: int, tests: tuple[ColumnTest, ...]) -> None:
        self.tests, self.rows = tests, rows
        failed = [test for test in tests if not test.passed]
        super().__init__(
            f"preparation {preparation.name!r}",
            expected=", ".join(test.name for test in failed),
            found="; ".join(test.found for test in failed),
            todo=f"The table {SCHEMA}.{preparation.name} is as it was before. Correct the query, or what it reads."
            if preparation.query
            else "Correct the script, or what it reads.",
        )


def prepare(warehouse: Warehouse, preparation: Preparation) -> PreparationResult:
    """Run a preparation, unless nothing that it reads has changed.

    - With a `query` its rows are tested beside the current table, which a transaction then replaces.
    - A `script` runs in one transaction; its table is tested after it.

    WarehouseError that names it if the warehouse refuses it, PreparationError if a test fails.
    """
    try:
        return _prepared(warehouse, preparation)
    except WarehouseError as error:
        if error.thing not in ("query", "preparing", "preparation"):
            raise
        raise WarehouseError(
            f"preparation {preparation.name!r}", expected=error.expected, found=error.found, todo=error.todo
        ) from error


def _prepared(warehouse: Warehouse, preparation: Preparation) -> PreparationResult:
    version = _version(warehouse, preparation)
    table = f"{SCHEMA}.{quoted(preparation.name)}"
    if version and version == _recorded(warehouse).get(preparation.name):
        try:
            rows = _count(warehouse, f"SELECT * FROM {table}")
            passed = "nothing that it reads has changed since it passed"
            tests = tuple(ColumnTest(name, True, passed) for name in preparation.tests)
            return PreparationResult(preparation.name, rows, skipped=True, tests=tests)
        except WarehouseError:  # somebody has dropped it
            pass
    record = _record(preparation.name, version)
    if preparation.script:
        warehouse.prepare(preparation.script)
        result = _tested(warehouse, preparation, table)
        if record:
            warehouse.prepare("\n".join(record))
        return result
    with suppress(ColumnTypesError):  # a prepared table may have types that nothing else has
        warehouse.natural(preparation.query)
    draft = f"{SCHEMA}.{quoted('penstock_draft_' + hashlib.sha256(preparation.name.encode()).hexdigest()[:12])}"
    schemas = f"SELECT * FROM information_schema.schemata WHERE schema_name = '{SCHEMA}'"
    create = [] if _count(warehouse, schemas) else [f"CREATE SCHEMA {SCHEMA};"]
    drafted = [f"DROP TABLE IF EXISTS {draft};", f"CREATE TABLE {draft} AS\n{subquery(preparation.query)};"]
    try:
        warehouse.prepare("\n".join([*create, *drafted]))
        result = _tested(warehouse, preparation, draft)
        warehouse.prepare("\n".join([*_swap(warehouse, draft, table, preparation.name), *record]))
    except BaseException:
        with suppress(WarehouseError):  # the first fault is the one to say
            warehouse.prepare(f"DROP TABLE IF EXISTS {draft};")
        raise
    return result


def _swap(warehouse: Warehouse, draft: str, table: str, name: str) -> list[str]:
    if warehouse.dialect in RENAMES_IN_A_TRANSACTION:
        granted = repeated_grants(warehouse, SCHEMA, name, draft)
        return [*granted, f"DROP TABLE IF EXISTS {table};", f"ALTER TABLE {draft} RENAME TO {quoted(name)};"]
    copied = COPIED.get(warehouse.dialect, "")
    return [f"CREATE OR REPLACE TABLE {table}{copied} AS SELECT * FROM {draft};", f"DROP TABLE {draft};"]


def _tested(warehouse: Warehouse, preparation: Preparation, table: str) -> PreparationResult:
    rows, tests = _count(warehouse, f"SELECT * FROM {table}"), []
    for column in preparation.not_null:
        nulls = _count(warehouse, f"SELECT * FROM {table} WHERE {quoted(column)} IS NULL")
        tests.append(ColumnTest(f"not_null_{column}", not nulls, f"{nulls:,} nulls in {column}"))
    if preparation.unique:
        listed = ", ".join(map(quoted, preparation.unique))
        twice = _count(warehouse, f"SELECT {listed} FROM {table} GROUP BY {listed} HAVING count(*) > 1")
        named = ", ".join(preparation.unique)
        tests.append(ColumnTest("unique", not twice, f"{counted(twice, 'value')} of {named} in several rows"))
    if preparation.minimum_rows:
        tests.append(ColumnTest("minimum_rows", rows >= preparation.minimum_rows, counted(rows, "row")))
    if preparation.shape is not None:
        tests.append(_shape_test(warehouse, preparation, table))
    if not all(test.passed for test in tests):
        raise PreparationError(preparation, rows, tuple(tests))
    return PreparationResult(preparation.name, rows, skipped=False, tests=tuple(tests))


def _shape_test(warehouse: Warehouse, preparation: Preparation, table: str) -> ColumnTest:
    if preparation.shape is None:
        return ColumnTest("shape", True, "none is declared")
    check, rows = shape_check(preparation.shape, preparation.name), 0
    with warehouse.batches(f"SELECT * FROM {table}") as batches:
        try:
            for batch in batches:
                check(batch)
                rows += batch.num_rows
        except ShapeError as error:
            return ColumnTest("shape", False, error.expected)
    return ColumnTest("shape", True, f"{rows:,} rows have it")


def _version(warehouse: Warehouse, preparation: Preparation) -> str:
    """The digest of the declaration and of all that it reads as it is now; empty where that is not known."""
    if not preparation.version_query:
        return ""
    recorded = _recorded(warehouse)
    before = [recorded.get(name, "") for name in preparation.prepared_before]
    if not all(before):
        return ""
    with warehouse.batches(preparation.version_query) as batches:
        found = [[str(value) for value in row.values()] for row in batches.read_all().to_pylist()]
    own = [preparation.script, preparation.query, preparation.version_query, *preparation.tests]
    shape = shape_text(preparation.shape) if preparation.shape is not None else ""
    tests = [list(preparation.unique), list(preparation.not_null), preparation.minimum_rows, shape]
    return hashlib.sha256(msgspec.json.encode([own, tests, before, found])).hexdigest()


def _recorded(warehouse: Warehouse) -> Mapping[str, str]:
    """Preparation -> the version that its table was made from."""
    there = "SELECT * FROM information_schema.tables WHERE table_schema = '{}' AND table_name = '{}'"
    if not _count(warehouse, there.format(*STATE.split("."))):
        return {}
    with warehouse.batches(f"SELECT name, version FROM {STATE}") as batches:
        return {row["name"]: row["version"] for row in batches.read_all().to_pylist()}


def _record(name: str, version: str) -> list[str]:
    """The statements that record the version of a table; none where it is not known."""
    if not version:
        return []
    return [
        f"CREATE TABLE IF NOT EXISTS {STATE} (name VARCHAR(63), version VARCHAR(64));",
        f"DELETE FROM {STATE} WHERE name = '{name}';",
        f"INSERT INTO {STATE} VALUES ('{name}', '{version}');",
    ]


def _count(warehouse: Warehouse, query: str) -> int:
    with warehouse.batches(f"SELECT count(*) AS n FROM (\n{query}\n) AS counted") as batches:
        return int(batches.read_all().column("n")[0].as_py())
