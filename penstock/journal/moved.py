"""Which contributions move from one release to another, on the same journaled predictions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from penstock.artifact.native import Artifact
from penstock.contract.contract import Contract
from penstock.journal.explaining import explain
from penstock.journal.reading import JournalEntry


class Move(NamedTuple):
    """How the contributions of one feature differ between two releases, on n `predictions`.

    - `before`, `after`: mean amounts. `mean`, `largest`: of the amounts by which a prediction's contribution moved.
    """

    feature: str
    predictions: int
    before: float
    after: float
    mean: float
    largest: float


def moves(contract: Contract, before: Artifact, after: Artifact, entries: Sequence[JournalEntry]) -> list[Move]:
    """How contributions moved, the most moved feature first; a feature that one release lacks contributes nothing."""
    first = [one.why.contributions for one in explain(contract, before, entries)]
    second = [one.why.contributions for one in explain(contract, after, entries)]
    made: list[Move] = []
    for name in dict.fromkeys([*first[0], *second[0]]):
        old = np.array([one.get(name, 0.0) for one in first])
        new = np.array([one.get(name, 0.0) for one in second])
        apart = np.abs(new - old)
        amounts = (np.abs(old).mean(), np.abs(new).mean(), apart.mean(), apart.max())
        made.append(Move(name, len(entries), *map(float, amounts)))
    return sorted(made, key=lambda move: (-move.mean, move.feature))
