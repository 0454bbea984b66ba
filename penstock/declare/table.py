"""The declaration of one replicated table: its extract, its shape, and its lookups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pandera.pandas as pa

from penstock.contract.contract import Lookup
from penstock.contract.declaring import DeclarationType
from penstock.declare.derived_shape import table_shape
from penstock.declare.faults import table_faults
from penstock.errors import demand_declared


@dataclass(frozen=True)
class ReplicatedTable(metaclass=DeclarationType):
    """One table that is extracted from the warehouse and published into the books.

    - `name`: of the table in the books. `owner`, `description`: for people, shown in Dagster.
    - `indexes`: columns of further indexes, beside those that lookups need.
    - `query`: SQL that runs in the warehouse. `key`: the columns that are unique and order the rows.
    - `shape`: what the extracted rows must look like. Without it: a key without nulls, the kinds of the columns that
      lookups want, and `bounds`: column -> least and greatest value.
    - `lookups`: those that read it; without any, those of all contracts of the project.
    - `after`: the tables on which `query` depends, as `warehouse/<name>`, `prepared/<name>` or
      `dbt/<asset>`.
    - `minimum_rows`, `largest_drop`: fewer rows, or a drop by a larger share of the current snapshot's rows, stop the
      publish.
    - `fresh_within`: the greatest age of the content in a book.
    - `watermark`: a column that grows with every change of a row. Only rows at or above the last snapshot's greatest
      value are extracted, and stored and published on top of the last full extract.
    - `full_every`, `largest_delta`: when the next full extract is due, because the last one is older, or the changes
      since are a larger share of it. Only a full extract sees rows that were deleted, or changed without a greater
      watermark.
    - `version_query`: cheap SQL whose result changes whenever that of `query` does. While its result stays the same,
      nothing is extracted.
    - `cron`: when the table is extracted and published, in UTC.
    - `columns`: column -> its description, for people, shown in Dagster.
    - `group`: tables of the same group are extracted in one run, by the schedule of the first of them, and become
      current in one transaction.
    """

    name: str
    query: str
    key: tuple[str, ...]
    shape: pa.DataFrameSchema | None = None
    description: str = ""
    owner: str = ""
    indexes: Sequence[tuple[str, ...]] = ()
    lookups: Sequence[Lookup] = ()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
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
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand_declared(table_faults(self))

    @property
    def rows_shape(self) -> pa.DataFrameSchema:
        """The shape of its extracted rows: as declared, or made of its key, its lookups and its bounds."""
        return self.shape if self.shape is not None else table_shape(self.key, self.lookups, self.bounds)
