"""What a warehouse holds, by its own word."""

from penstock.warehouse.interface import Warehouse

TABLES = """
    SELECT CAST(table_schema AS VARCHAR) AS a, CAST(table_name AS VARCHAR) AS b FROM information_schema.tables
    WHERE lower(CAST(table_schema AS VARCHAR)) NOT IN ('information_schema', 'pg_catalog', 'system')
"""
POSTGRES_TABLES = """
    SELECT nspname AS a, relname AS b FROM pg_catalog.pg_class
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
        AND has_schema_privilege(pg_namespace.oid, 'USAGE') AND has_any_column_privilege(pg_class.oid, 'SELECT')
"""
"""Its information schema has no materialized views."""


def tables(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Schema and name of the tables and views that the connected user sees."""
    with warehouse.batches(POSTGRES_TABLES if warehouse.dialect == "postgresql" else TABLES) as batches:
        return [(row["a"], row["b"]) for batch in batches for row in batch.to_pylist()]
