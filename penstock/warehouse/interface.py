"""What every kind of warehouse does, and how names are quoted in its SQL."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from penstock.errors import PenstockError

BATCH_ROWS = 65_536


class WarehouseError(PenstockError):
    """The warehouse cannot be reached, is busy for too long, or refuses a query."""


class ColumnTypesError(WarehouseError):
    """Columns of types that no request and no book can hold: `kinds` by their name; `others` are the rest."""

    def __init__(self, kinds: Mapping[str, str], others: Sequence[str]) -> None:
        self.kinds, self.others = dict(kinds), tuple(others)
        super().__init__(
            f"columns {', '.join(map(repr, kinds))}",
            expected="numbers, booleans, texts, bytes, dates, times without a zone or instants",
            found=", ".join(f"{name}: {kind}" for name, kind in kinds.items()),
            todo="Cast them in the query, for instance to text or double precision.",
        )


class ColumnValuesError(WarehouseError):
    """A column with values that its type has in the warehouse alone, such as an infinite day."""

    def __init__(self, column: str, *, expected: str, found: str, todo: str) -> None:
        self.column = column
        super().__init__(f"column {column!r}", expected=expected, found=found, todo=todo)


class ColumnNamesError(WarehouseError):
    """Two columns of a query have one name. `found` says which, and `expected` what is one name there."""

    def __init__(self, *, expected: str, found: str) -> None:
        todo = "Give each a name by AS, or leave out what `*` selects twice."
        super().__init__("query", expected=expected, found=found, todo=todo)


class Warehouse(Protocol):
    """A warehouse of any kind. Its queries bind values as `:name`."""

    @property
    def dialect(self) -> str:
        """The name of its SQL, such as `duckdb`, `postgresql` or `clickhouse`."""

    def batches(
        self,
        query: str,
        bound: Mapping[str, Any] | None = None,
        *,
        key: Sequence[str] = (),
        hash_joins: bool = False,
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The rows of `query`, streamed while the context is open. Whoever leaves it, also by Ctrl-C, ends the query.

        - The types are declared by the warehouse, never guessed from rows: an empty result has them too.
        - With `key`, the rows come in its order, text in that of its bytes.
        - With `hash_joins`, a planner that would join row by row, because it underestimates the rows, is kept from it.
        """

    def natural(self, query: str, bound: Mapping[str, Any] | None = None) -> str:
        """The query with each column as a type that requests and books have too: a join inside the warehouse then
        compares what the service compares. The query itself where it is so already."""

    def prepare(self, script: str) -> None:
        """Run statements that create tables inside the warehouse, all or nothing."""


def demand_names(names: Sequence[str], *, exact: bool = False) -> None:
    """ColumnNamesError where two columns have one name. Names that differ by case alone are one, unless `exact`."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name if exact else name.lower(), []).append(name)
    twice = [_listed(found) for found in alike.values() if len(found) > 1]
    if twice:
        expected = f"a name of its own for each column{'' if exact else ', whatever its case'}"
        raise ColumnNamesError(expected=expected, found=", ".join(twice))


def _listed(names: Sequence[str]) -> str:
    several = list(dict.fromkeys(names))
    return " and ".join(map(repr, several)) if several[1:] else f"{several[0]!r} twice"


def quoted(name: str) -> str:
    """A name as a standard SQL identifier, for queries that every kind of warehouse runs."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """A text as a standard SQL literal."""
    return "'" + text.replace("'", "''") + "'"
