from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

def contributions(
    nodes: Array,
    roots: Array,
    covers: Array,
    leaf_values: Array,
    bitsets: Array,
    targets: Array,
    players: Array,
    owners: Array,
    points: Array,
    weights: Array,
    rows: Array,
    out: Array,
    words: int,
    outputs: int,
    features: int,
    /,
) -> int: ...
