"""The declaration of one replicated table: what is extracted, what it must look like, how it is looked up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pandera.pandas as pa

from penstock.contract.contract import Lookup


@dataclass(frozen=True)
class ReplicatedTable:
    """One table that is extracted from the warehouse and published into the books.

    `query` is SQL that runs in the warehouse. `key` is unique and orders the snapshot. Row bounds:
    fewer than `minimum_rows`, or a drop by more than the share `largest_drop` against the current
    snapshot, stops the publish.

    With a `watermark`, a column that grows with every change of a row, only rows at or above the last snapshot's
    greatest value are extracted, and stored and published on top of the last full extract. Rows that were deleted, or
    changed without a greater watermark, are seen at the next full extract, due once the last one is older than
    `full_every` or the changes since then are more than the share `largest_delta` of it.

    `version_query` is cheap SQL whose result changes whenever that of `query` does. While it stays the same, the
    last snapshot holds and nothing is extracted.

    Tables of the same `group` are extracted in one run, by the schedule of the first of them, and become current in one
    transaction.
    """

    name: str
    query: str
    key: tuple[str, ...]
    shape: pa.DataFrameSchema
    description: str = ""
    owner: str = ""
    indexes: Sequence[tuple[str, ...]] = ()
    lookups: Sequence[Lookup] = ()
    minimum_rows: int = 1
    largest_drop: float = 0.5
    cron: str = "0 * * * *"
    fresh_within: timedelta = field(default=timedelta(hours=26))
    after: Sequence[str] = ()
    watermark: str = ""
    full_every: timedelta = timedelta(days=1)
    largest_delta: float = 0.2
    version_query: str = ""
    group: str = ""
