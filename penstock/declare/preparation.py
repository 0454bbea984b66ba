"""The declaration of a table that is prepared inside the warehouse by a SQL file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Preparation:
    """A table `prepared.<name>`, which the SQL of `script` creates from the raw tables that it `reads`."""

    name: str
    script: str
    reads: Sequence[str]
    description: str = ""
    owner: str = ""
