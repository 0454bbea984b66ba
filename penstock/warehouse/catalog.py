"""What a warehouse holds, by its own word."""

from penstock.warehouse.interface import Warehouse


def tables(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Schema and name of the tables and views that the connected user sees."""
    query = (
        "SELECT CAST(table_schema AS VARCHAR) AS a, CAST(table_name AS VARCHAR) AS b FROM information_schema.tables"
        " WHERE lower(CAST(table_schema AS VARCHAR)) NOT IN ('information_schema', 'pg_catalog', 'system')"
    )
    with warehouse.batches(query) as batches:
        return [(row["a"], row["b"]) for batch in batches for row in batch.to_pylist()]
