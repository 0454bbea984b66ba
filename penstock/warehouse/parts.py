"""One state of a warehouse's data, read in parts: ranges of the key, each in a connection of its own."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol, runtime_checkable

import msgspec
import pyarrow as pa

from penstock.warehouse.interface import Warehouse

CONNECTIONS = 4
"""How many parts are read at once."""


class KeyRange(msgspec.Struct, frozen=True):
    """Rows whose first key column is at least `low` and below `high`, as literals in SQL; an empty text is no bound."""

    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class PartReader:
    """The rows of a query in one state of the data, which stays the same while the context of the reader is open.

    - `ranges` ascend and leave no key out.
    - `identity`: equal for two readers that return the same rows for the same range. None where nobody can know that
      the data have not changed between them.
    - `read` returns the rows of a range in the order of the key, also from several threads at once. They have to come
      within the seconds that are its second argument (0 is no limit), and end once the event is set.
    """

    schema: pa.Schema
    ranges: Sequence[KeyRange]
    identity: str | None
    read: Callable[[KeyRange, float, Event], AbstractContextManager[pa.RecordBatchReader]]


@runtime_checkable
class PartSource(Protocol):
    """A kind of warehouse that reads a large result faster, or begins it again later, in parts of one state."""

    timeout: float
    ended: Event

    def ranges(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str]) -> list[KeyRange]:
        """The ranges in which the query is read; empty where one query is better, or parts might not fit together."""

    def parts(self, query: str, ranges: Sequence[KeyRange], *, key: Sequence[str], version: str = "") -> Any:
        """A context manager that returns a `PartReader`. `version` is SQL whose result changes whenever the rows do."""


def ranges_of(warehouse: Warehouse, query: str, key: Sequence[str]) -> list[KeyRange]:
    """The ranges in which a warehouse of any kind reads a query; empty where it reads it at once."""
    return warehouse.ranges(query, key=key) if isinstance(warehouse, PartSource) else []
