from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

class Kernel:
    def __new__(
        cls,
        *,
        names: tuple[str, ...],
        dictionaries: tuple[dict[str, int], ...],
        program: Array,
        constants: Array,
        nodes: Array,
        roots: Array,
        leaf_values: Array,
        bitsets: Array,
        base: Array,
        coefficients: Array,
        inputs: Array,
        slots: int,
        outputs: int,
        columns: int,
        link: int,
        divisor: float,
        linear: bool,
    ) -> Kernel: ...
    def run(self, columns: Mapping[str, Array], out: Array, mode: int, rows: int) -> int: ...
