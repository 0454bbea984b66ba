"""Contributions of features to any score, by comparing a row with stored training rows: interventional Shapley values.

What is not known of a row is taken from a training row. With few features all coalitions are asked, and the result is
exact; with many, features become known in random orders, each in both directions (Castro et al., Polynomial calculation
of the Shapley value based on sampling, 2009). The sum is exact in both, and equal rows have equal contributions.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.contract.contract import Columns

Array = np.ndarray[Any, Any]
MOST_ORDERS = 8


def interventional(
    score: Callable[[Columns], Array], row: Columns, background: Columns, players: list[str], most_rows: int
) -> tuple[Array, Array]:
    """The contributions (players, outputs) to the score of one row, and the mean score of the background (outputs,).

    `score` returns (n, outputs) for feature columns, and is asked for about `most_rows` rows at most.
    """
    count, rows = len(players), len(next(iter(background.values())))
    if rows * 2**count <= most_rows:
        return _of_all_coalitions(score, row, background, players)
    rows = max(min(rows, most_rows // (2 * (count + 1))), 1)
    background = {name: values[:rows] for name, values in background.items()}
    pairs = max(min(MOST_ORDERS, most_rows // (rows * 2 * (count + 1))), 1)
    random = np.random.default_rng(0)
    found: list[Array] = []
    for _ in range(pairs):
        order = random.permuted(np.tile(np.arange(count), (rows, 1)), axis=1)
        for rank in (order, count - 1 - order):
            made, base = _of_orders(score, row, background, players, rank)
            found.append(made)
    return np.asarray(np.mean(found, axis=0)), base


def _asked(
    score: Callable[[Columns], Array], row: Columns, background: Columns, players: list[str], known: Array
) -> Array:
    """The scores (rows, coalitions, outputs) where `known` (rows, coalitions, players) comes from the row."""
    rows, coalitions, _ = known.shape
    columns = {name: np.repeat(values, coalitions) for name, values in background.items()}
    for at, name in enumerate(players):
        columns[name] = np.where(known[:, :, at].ravel(), row[name][0], columns[name])
    found = score(columns)
    return found.reshape(rows, coalitions, -1)


def _of_all_coalitions(
    score: Callable[[Columns], Array], row: Columns, background: Columns, players: list[str]
) -> tuple[Array, Array]:
    count, rows = len(players), len(next(iter(background.values())))
    coalitions = np.arange(2**count)
    known = (coalitions[:, None] >> np.arange(count)) & 1 == 1
    values = _asked(score, row, background, players, np.broadcast_to(known, (rows, *known.shape))).mean(axis=0)
    sizes = known.sum(axis=1)
    made = np.zeros((count, values.shape[1]))
    for at in range(count):
        without = coalitions[~known[:, at]]
        weights = np.array([1 / (count * math.comb(count - 1, int(size))) for size in sizes[without]])
        made[at] = weights @ (values[without | 1 << at] - values[without])
    return made, values[0]


def _of_orders(
    score: Callable[[Columns], Array], row: Columns, background: Columns, players: list[str], rank: Array
) -> tuple[Array, Array]:
    """`rank` (rows, players): for each background row the place at which a player becomes known."""
    rows, count = rank.shape
    known = rank[:, None, :] < np.arange(count + 1)[None, :, None]
    values = _asked(score, row, background, players, known)
    gains = np.diff(values, axis=1)
    made = np.zeros((count, values.shape[2]))
    np.add.at(made, np.argsort(rank, axis=1).ravel(), gains.reshape(rows * count, -1) / rows)
    return made, values[:, 0].mean(axis=0)
