"""The warehouse: one interface, two implementations, a DuckDB file and any SQLAlchemy URL."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from model_tools.errors import PenstockError
from resources.settings import Settings

BATCH_ROWS = 65_536
BOUND = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


class WarehouseError(PenstockError):
    """The warehouse cannot be reached, is busy for too long, or refuses a query."""


class Warehouse(Protocol):
    """Where the data lives. Queries bind values as `:name`."""

    @property
    def dialect(self) -> str:
        """`duckdb`, or the name that SQLAlchemy gives the dialect."""

    def batches(
        self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The rows of `query`, in binary order of `key` if given, streamed while the context is open."""

    def prepare(self, script: str) -> None:
        """Run statements that create tables inside the warehouse, all or nothing."""


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse that the settings name."""
    from resources.duckdb_warehouse import DuckDBWarehouse
    from resources.sql_warehouse import SqlWarehouse

    url = settings.warehouse_url
    if not url:
        return DuckDBWarehouse(str(settings.warehouse_file), now=settings.now_override)
    if url.startswith("duckdb:"):
        return DuckDBWarehouse(url.removeprefix("duckdb:").removeprefix("///"), now=settings.now_override)
    return SqlWarehouse(url)
