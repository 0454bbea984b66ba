"""The order of nodes in a file: a left child follows its parent."""

from typing import Any

import numpy as np

from penstock.artifact.file import NODE

Array = np.ndarray[Any, Any]


def preordered(nodes: Array, left: Array, right: Array) -> Array:
    """The nodes that can be reached from the first, each followed by its left child.

    `left` and `right` are the children's numbers, -1 at a leaf. A leaf keeps its `link`; another node's becomes the
    new number of its right child.
    """
    levels = [np.array([0])]
    while len(levels[-1]):
        inner = levels[-1][left[levels[-1]] >= 0]
        levels.append(np.concatenate([left[inner], right[inner]]))
    size = np.ones(len(left), dtype=np.int64)
    place = np.zeros(len(left), dtype=np.int64)
    inners = [level[left[level] >= 0] for level in levels]
    for inner in reversed(inners):
        size[inner] += size[left[inner]] + size[right[inner]]
    for inner in inners:
        place[left[inner]] = place[inner] + 1
        place[right[inner]] = place[inner] + 1 + size[left[inner]]
    reached = np.concatenate(levels)
    made: Array = np.empty(len(reached), dtype=nodes.dtype)
    made[place[reached]] = nodes[reached]
    inner = reached[left[reached] >= 0]
    made["link"][place[inner]] = place[right[inner]]
    return made


def in_preorder(values: Array, left: Array, right: Array) -> Array:
    """One number per node, in the order of `preordered`."""
    nodes = np.zeros(len(values), dtype=NODE)
    nodes["value"] = values
    return np.array(preordered(nodes, left, right)["value"])
