"""Columns that number the rows of a table: whole numbers close to each other, each once."""

from penstock.scaffold.profile import Column, Table, ask
from penstock.warehouse.interface import Warehouse, quoted
from penstock.warehouse.query_text import subquery

FEW, MOST_GAPS = 20, 2
"""Fewer rows have different amounts by chance; numbers that span more than so many times the rows are no numbering."""


def note_numberings(warehouse: Warehouse, table: Table) -> None:
    """Note which columns of a table number its rows."""
    likely = [column for column in table.columns.values() if _may_number(column)]
    if not likely:
        return
    counts = ", ".join(f"count(DISTINCT floor({quoted(one.name)})) AS n{number}" for number, one in enumerate(likely))
    row = ask(warehouse, f"SELECT {counts} FROM (\n{subquery(table.query)}) AS source")[0]
    for number, column in enumerate(likely):
        column.numbering = bool(row[f"n{number}"] == column.rows)


def _may_number(column: Column) -> bool:
    if column.storage is None or column.storage.python not in ("int", "float") or column.rows < FEW or column.missing:
        return False
    if column.values is not None and len(column.values) < column.rows:
        return False
    return bool(column.rows - 1 <= column.greatest - column.least <= MOST_GAPS * column.rows)
