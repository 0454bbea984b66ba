"""Whose query the warehouse refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.warehouse.interface import WarehouseError


@contextmanager
def query_of(thing: str) -> Iterator[None]:
    """Say of a query that is refused in this block whose it is: `thing` is a model or table with its name."""
    try:
        yield
    except WarehouseError as error:
        if error.thing != "query":
            raise
        raise WarehouseError(f"query of {thing}", found=error.found, todo=error.todo) from error
