"""The declaration of a table that is prepared inside the warehouse by a SQL file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Preparation:
    """`script` creates the table `prepared.<name>` from the raw tables that it `reads`."""

    name: str
    script: str
    reads: Sequence[str]
    description: str = ""
    owner: str = ""
