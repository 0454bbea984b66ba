"""The declaration of a table that is prepared inside the warehouse by a SQL file."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.contract.declaring import DeclarationType
from penstock.declare.faults import preparation_faults
from penstock.errors import demand_declared


@dataclass(frozen=True)
class Preparation(metaclass=DeclarationType):
    """A table `prepared.<name>` (its `name`), which the SQL of `script` creates from the raw tables that it `reads`.

    It runs before what waits for `prepared/<name>`. `owner`, `description`: for people, shown in Dagster.
    """

    name: str
    script: str
    reads: Sequence[str]
    description: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        demand_declared(preparation_faults(self))
