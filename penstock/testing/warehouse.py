"""A warehouse made from rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import pyarrow as pa
import pyarrow.csv

from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import quoted

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = Union[Sequence[Mapping[str, Any]], "pd.DataFrame", pa.Table, str, Path]
"""The rows of one table: dicts, a pandas frame, an Arrow table, or the path of a CSV file with a header."""
Tables: TypeAlias = Mapping[str, Rows]
"""Rows by the name of their table; a name may have a schema before it, as in `source.orders`."""


def as_arrow(rows: Rows) -> pa.Table:
    """Rows of any kind as an Arrow table. No dicts at all have no columns: pass an Arrow table with a schema then."""
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, str | Path):
        return pyarrow.csv.read_csv(rows)
    if isinstance(rows, Sequence):
        return pa.Table.from_pylist([dict(row) for row in cast("Sequence[Mapping[str, Any]]", rows)])
    return pa.Table.from_pandas(rows, preserve_index=False)


def write_tables(warehouse: DuckDBWarehouse, tables: Tables) -> None:
    """Write tables into a DuckDB file, which is made if it does not exist; a table that exists is replaced."""
    Path(warehouse.path).parent.mkdir(parents=True, exist_ok=True)
    with warehouse.connect() as connection:
        for name, rows in tables.items():
            *schemas, _ = name.split(".")
            for schema in schemas:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
            connection.register("penstock_rows", as_arrow(rows))
            table = ".".join(map(quoted, name.split(".")))
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM penstock_rows")
            connection.unregister("penstock_rows")
