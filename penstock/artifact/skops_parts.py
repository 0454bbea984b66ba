"""What a loaded estimator consists of, and whether scikit-learn may walk it without a look at its bounds."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np


def parts(thing: Any, seen: set[int], having: str = "") -> Iterator[Any]:
    """The trees and sparse matrices anywhere inside a loaded estimator, or what has an attribute."""
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | None):
        return
    seen.add(id(thing))
    if hasattr(thing, having) if having else type(thing).__name__ in ("Tree", "TreePredictor", "csr_matrix"):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from parts(value, seen, having)
    elif isinstance(thing, list | tuple | set) or (isinstance(thing, np.ndarray) and thing.dtype == object):
        for value in thing if not isinstance(thing, np.ndarray) else thing.ravel():
            yield from parts(value, seen, having)
    elif hasattr(thing, "__dict__"):
        yield from parts(vars(thing), seen, having)


def without_indexes(thing: Any) -> Any:
    """A copy of an estimator with lists of names where it has pandas' indexes of columns, which skops does not take."""
    copied = deepcopy(thing)
    _unindex(copied, set())
    return copied


def _unindex(thing: Any, seen: set[int]) -> Any:
    """What takes the place of a thing: itself, changed inside, unless it is an index or a tuple."""
    if type(thing).__module__.partition(".")[0] == "pandas" and hasattr(thing, "tolist"):
        return thing.tolist()
    if isinstance(thing, tuple) and type(thing) is tuple:
        return tuple(_unindex(value, seen) for value in thing)
    inside = thing if isinstance(thing, dict) else getattr(thing, "__dict__", None)
    if id(thing) in seen or isinstance(thing, type):
        return thing
    seen.add(id(thing))
    if isinstance(thing, list):
        thing[:] = [_unindex(value, seen) for value in thing]
    elif isinstance(inside, dict):
        inside.update({name: _unindex(value, seen) for name, value in inside.items()})
    return thing


def _holds_together(matrix: Any) -> bool:
    """Whether every place of a sparse matrix is inside of it."""
    try:
        matrix.check_format(full_check=True)
    except ValueError:
        return False
    return True


def is_whole(tree: Any) -> bool:
    """Whether every child of a tree lies behind its parent and inside the tree, and every leaf is marked as one."""
    if type(tree).__name__ == "csr_matrix":
        return _holds_together(tree)
    if type(tree).__name__ == "Tree":
        left, right, feature = tree.children_left, tree.children_right, tree.feature
        leaf, width, sets = left == -1, tree.n_features, np.zeros(0)
        split = np.zeros(0, dtype=np.int64)
    else:
        nodes = tree.nodes
        left, right, feature = (nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
        leaf, width, sets = nodes["is_leaf"] != 0, 2**31, tree.raw_left_cat_bitsets
        split = nodes["bitset_idx"][(nodes["is_categorical"] != 0) & ~leaf]
    at, count = np.arange(len(left))[~leaf], len(left)
    children = np.concatenate([left[~leaf], right[~leaf]])
    inside = np.all(children > np.concatenate([at, at])) and np.all(children < count)
    known = np.all((feature[~leaf] >= 0) & (feature[~leaf] < width)) and np.all(split < max(len(sets), 0))
    return bool(count and inside and known)
