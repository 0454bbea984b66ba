"""Pools: steps of one pool wait for each other, of whatever run. How many a pool admits stands in dagster.yaml: one."""

WAREHOUSE = "warehouse"
"""Whatever reads or writes the warehouse: a DuckDB file has one writer."""


def of_table(name: str) -> str:
    """The pool of what loads a replicated table, or the group that becomes current with it, into the books."""
    return f"table/{name}"


def of_model(name: str) -> str:
    """The pool of what trains and releases a model: no two runs want the same month of it."""
    return f"model/{name}"
