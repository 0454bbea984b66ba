from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.artifact.checks import KernelModel

Array = np.ndarray[Any, Any]

class Kernel:
    def __new__(
        cls,
        *,
        names: tuple[str, ...],
        dictionaries: tuple[dict[str, int], ...],
        program: Array,
        constants: Array,
        slots: int,
        models: tuple[KernelModel, ...],
    ) -> Kernel: ...
    def run(self, columns: Mapping[str, Array], out: Array, mode: int, rows: int) -> int: ...
