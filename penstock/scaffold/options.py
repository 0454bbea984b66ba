"""What a person says of a new model on the command line."""

from dataclasses import dataclass
from datetime import timedelta

from penstock.declare.periods import NO_DELAY


@dataclass(frozen=True)
class Options:
    """What a person says of a new model."""

    model: str
    rows: str
    outcomes: tuple[str, ...]
    key: tuple[str, ...]
    asked_at: str
    kind: str = ""
    lookups: tuple[str, ...] = ()
    every: str = ""
    outcome_after: timedelta = NO_DELAY
    zone: str = ""
