"""Exact contributions of features to the raw scores of trees: Shapley values, path-dependent.

- The game of Lundberg et al., Consistent Individualized Feature Attribution for Tree Ensembles, 2018: a feature that is
  not known sends a row to both children, by their shares of the training rows (their covers).
- In a leaf's share of the game each player p has one factor: `known` (1 or 0) where the player is known, `unknown` (the
  product of its shares) where not. Its Shapley value is (known - unknown) times the integral over t from 0 to 1 of the
  product of the other players' `unknown + t * (known - unknown)`. That is a polynomial, so that as many points of Gauss
  and Legendre as half its degree integrate it exactly, without the subtractions of the recursion in that paper, which
  lose digits in deep trees. One pass down and one pass up a tree do it for all features.
- Players are the columns that the estimator was fitted to. A player's value counts for the feature that it was made of.
"""

from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.checks import KernelModel
from penstock.artifact.kernel_numpy import goes_left
from penstock.artifact.program import FEATURE, LEAF
from penstock.errors import ArtifactError

try:
    from penstock.artifact.explaining import _tree_shap
except ImportError:
    _tree_shap = None  # type: ignore[assignment]  # no compiler was there

Array = np.ndarray[Any, Any]


class TreePlayers(NamedTuple):
    """What is known of the trees beside their nodes.

    - `covers`: for each node the training rows, or their weights, that reached it.
    - `players`: for each slot the player that it belongs to. `owners`: for each slot the feature that it was made of.
    - `groups`: owners from the number of features on are these groups of features, which share in equal parts.
    """

    covers: Array
    players: Array
    owners: Array
    groups: tuple[frozenset[int], ...] = ()


class _Edge(NamedTuple):
    """The edge into a node, see `_tree_shap.c`: arrays have one value per row."""

    parent: int
    above: "_Edge | None"
    player: int
    owner: int
    known: Array
    unknown: float
    product: Array


class TreeShap:
    """The contributions of one model of trees. ArtifactError for covers that are not those of its nodes."""

    def __init__(self, name: str, model: KernelModel, given: TreePlayers, features: int, *, in_numpy: bool) -> None:
        self._name, self._model, self._features = name, model, features
        self._players, self._owners = given, features + len(given.groups)
        if given.covers.shape != model.nodes.shape or not np.all(np.isfinite(given.covers) & (given.covers >= 0)):
            raise self._refused("one cover of zero or more per node")
        if not np.all((given.owners >= 0) & (given.owners < self._owners)):
            raise self._refused("slots that are made of a feature")
        self._in_numpy = in_numpy or _tree_shap is None
        deepest, self.base = self._paths()
        points, weights = np.polynomial.legendre.leggauss(max(-(-deepest // 2), 1))
        self._points, self._weights = (points + 1) / 2, weights / 2

    def __call__(self, rows: Array) -> Array:
        """The contributions (n, outputs, features) to the raw scores, for the slots (n, slots) of n rows."""
        model = self._model
        out = np.zeros((len(rows), model.outputs, self._owners))
        if self._in_numpy:
            for tree in range(len(model.roots) - 1):
                self._add(tree, rows, out)
        else:
            status = _tree_shap.contributions(
                model.nodes,
                model.roots,
                self._players.covers,
                model.leaf_values,
                model.bitsets,
                model.targets,
                self._players.players,
                self._players.owners,
                self._points,
                self._weights,
                np.ascontiguousarray(rows),
                out,
                model.words,
                model.outputs,
                self._owners,
            )
            if status:
                raise self._refused("nodes inside their tree")
        for at, group in enumerate(self._players.groups, self._features):
            for feature in group:
                out[:, :, feature] += out[:, :, at] / len(group)
        return out[:, :, : self._features] / model.divisor

    def _refused(self, expected: str) -> ArtifactError:
        return ArtifactError(f"artifact {self._name}", expected=expected, found="others")

    def _children(self, nodes: Array, at: int, size: int) -> tuple[int, int, int]:
        """The slot that a node asks, and its children."""
        slot, right = int(nodes["feature"][at]) & FEATURE, int(nodes["link"][at])
        if slot >= len(self._players.players) or not at + 1 < right < size:
            raise self._refused("nodes inside their tree")
        return slot, at + 1, right

    def _paths(self) -> tuple[int, Array]:
        """The most players that can be on the way to a leaf, and the scores where no feature is known."""
        model, covers = self._model, self._players.covers
        base = np.array(model.base, dtype=np.float64)
        trees = np.arange(len(model.roots) - 1)
        at, shares, seen, depth = model.roots[:-1], np.ones(len(trees)), len(trees), 0
        asked: set[int] = set()
        while True:
            leaf = (model.nodes["feature"][at] & LEAF) != 0
            output = model.targets[trees[leaf]] if len(model.targets) else trees[leaf] % model.outputs
            values = model.nodes["value"][at[leaf]]
            if len(model.leaf_values):
                base += shares[leaf] @ self._leaves(values)
            else:
                np.add.at(base, output, shares[leaf] * values)
            at, trees, shares = at[~leaf], trees[~leaf], shares[~leaf]
            if not len(at):
                return min(depth, len(asked)), base / model.divisor
            depth, seen = depth + 1, seen + 2 * len(at)
            slots = (model.nodes["feature"][at] & FEATURE).astype(np.int64)
            left, right = at + 1, model.roots[trees] + model.nodes["link"][at]
            inside = np.all(slots < len(self._players.players)) and np.all(
                (left < right) & (right < model.roots[trees + 1])
            )
            if not inside or seen > len(model.nodes):
                raise self._refused("nodes inside their tree")
            asked.update(self._players.players[np.unique(slots)].tolist())
            known = covers[at] > 0
            below = np.concatenate([left, right])
            parts = np.where(np.tile(known, 2), covers[below] / np.tile(np.where(known, covers[at], 1.0), 2), 0.5)
            at, trees, shares = below, np.tile(trees, 2), np.tile(shares, 2) * parts

    def _leaves(self, values: Array) -> Array:
        places = np.ascontiguousarray(values).view(np.uint64)
        if np.any(places >= len(self._model.leaf_values)):
            raise self._refused("nodes inside their tree")
        return np.asarray(self._model.leaf_values[places])

    def _add(self, tree: int, rows: Array, out: Array) -> None:
        model, points = self._model, self._points
        first, end = model.roots[tree : tree + 2].tolist()
        nodes, covers = model.nodes[first:end], self._players.covers[first:end]
        leaf = (nodes["feature"] & LEAF) != 0
        edges: dict[int, _Edge] = {}
        for at in np.flatnonzero(~leaf).tolist():
            slot, *children = self._children(nodes, at, end - first)
            left = goes_left(model, np.repeat(nodes[at : at + 1], len(rows)), rows[:, slot])
            for child in children:
                share = covers[child] / covers[at] if covers[at] > 0 else 0.5
                known = (left if child == at + 1 else ~left).astype(np.float64)
                edges[child] = self._edge(edges, at, slot, known, float(share), len(rows))
        outputs = slice(None) if len(model.leaf_values) else slice(tree % model.outputs, tree % model.outputs + 1)
        if len(model.targets):
            outputs = slice(int(model.targets[tree]), int(model.targets[tree]) + 1)
        sums: dict[int, Array] = {}
        for at in sorted(edges, reverse=True):
            edge = edges[at]
            if leaf[at]:
                value = self._leaves(nodes["value"][at : at + 1])[0] if len(model.leaf_values) else nodes["value"][at]
                sums[at] = np.atleast_1d(value)[:, None] * edge.product[:, None, :]
            change = _slope(edge, points) - (_slope(edge.above, points) if edge.above else 0.0)
            own = sums.pop(at)
            out[:, outputs, edge.owner] += np.einsum("noq,nq,q->no", own, change, self._weights)
            sums[edge.parent] = sums[edge.parent] + own if edge.parent in sums else own

    def _edge(self, edges: dict[int, _Edge], at: int, slot: int, known: Array, unknown: float, rows: int) -> _Edge:
        player, above = int(self._players.players[slot]), at
        while above and edges[above].player != player:
            above = edges[above].parent
        before = edges[above] if above else None
        product = edges[at].product if at else np.ones((rows, len(self._points)))
        if before is not None:
            known, unknown = before.known * known, before.unknown * unknown
            then = _factor(before.known, before.unknown, self._points)
            product = np.divide(product, then, out=np.zeros_like(product), where=then != 0)
        product = product * _factor(known, unknown, self._points)
        return _Edge(at, before, player, int(self._players.owners[slot]), known, unknown, product)


def _factor(known: Array, unknown: float, points: Array) -> Array:
    return np.asarray(unknown + points * (known - unknown)[:, None])


def _slope(edge: _Edge, points: Array) -> Array:
    """(known - unknown) divided by the factor; 0 where the edge is part of no sum."""
    factor = _factor(edge.known, edge.unknown, points)
    return np.divide((edge.known - edge.unknown)[:, None], factor, out=np.zeros_like(factor), where=factor != 0)
