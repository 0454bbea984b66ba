"""The declaration of a table that is prepared inside the warehouse by SQL, and the order in which several are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import pandera.pandas as pa

from penstock.contract.declaring import DeclarationType, nearest
from penstock.declare.faults import preparation_faults
from penstock.errors import PenstockError, demand_declared

PREPARED = "prepared/"


@dataclass(frozen=True)
class Preparation(metaclass=DeclarationType):
    """A table `prepared.<name>` (its `name`) in the warehouse, which SQL makes of what it `reads`.

    - It runs before what waits for `prepared/<name>`, and after the preparations that it reads.
    - `query`: SQL that selects its rows. The table is replaced as a whole, after its rows have passed all tests.
    - `script`: instead of a query, statements that create the table, run in one transaction. Tests run after it.
    - `reads`: raw tables by name, other preparations as `prepared/<name>`, and what dbt makes as `dbt/<asset>`.
    - `version_query`: cheap SQL whose result changes whenever what it reads does. While its result, the declaration and
      the preparations that it reads stay the same, the preparation is not run.
    - `unique`: the columns that are unique together. `not_null`: columns without nulls. `minimum_rows`: at least so
      many. `shape`: what the rows must look like; they are all read out of the warehouse for it.
    - `owner`, `description`: for people, shown in Dagster.
    """

    name: str
    script: str = ""
    reads: Sequence[str] = ()
    description: str = ""
    owner: str = ""
    query: str = ""
    version_query: str = ""
    unique: Sequence[str] = ()
    not_null: Sequence[str] = ()
    minimum_rows: int = 0
    shape: pa.DataFrameSchema | None = None

    def __post_init__(self) -> None:
        demand_declared(preparation_faults(self))

    @property
    def tests(self) -> list[str]:
        """The names of the tests that it declares, which are checks in Dagster."""
        names = [f"not_null_{column}" for column in self.not_null]
        names += ["unique"] if self.unique else []
        names += ["minimum_rows"] if self.minimum_rows else []
        return names + (["shape"] if self.shape is not None else [])

    @property
    def prepared_before(self) -> tuple[str, ...]:
        """The names of the preparations that it reads."""
        return tuple(one.removeprefix(PREPARED) for one in self.reads if one.startswith(PREPARED))

    @property
    def raw(self) -> tuple[str, ...]:
        """The raw tables that it reads."""
        return tuple(one.removeprefix("warehouse/") for one in self.reads if not one.startswith((PREPARED, "dbt/")))

    @property
    def of_dbt(self) -> tuple[str, ...]:
        """What it reads that dbt makes, as `dbt/<asset>`."""
        return tuple(one for one in self.reads if one.startswith("dbt/"))


def in_order(wanted: Iterable[str], known: Mapping[str, Preparation]) -> list[Preparation]:
    """The preparations of these names and all that they read, each after what it reads.

    PenstockError for one that nobody declares, and for those that read each other in a circle.
    """
    graph: dict[str, tuple[str, ...]] = {}
    waiting = [(name, "a table") for name in wanted]
    while waiting:
        name, reader = waiting.pop()
        if name in graph:
            continue
        if name not in known:
            raise PenstockError(
                f"what {reader} reads",
                expected="a preparation that is declared",
                found=repr(PREPARED + name),
                todo=nearest(name, known),
            )
        graph[name] = known[name].prepared_before
        waiting += [(before, f"preparation {name!r}") for before in graph[name]]
    try:
        return [known[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " reads ".join(reversed(error.args[1]))
        raise PenstockError(
            "preparations", expected="none that reads itself by way of others", found=circle, todo="Break the circle."
        ) from None
