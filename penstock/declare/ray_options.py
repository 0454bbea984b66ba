"""What a training task may ask Ray for."""

from collections.abc import Mapping
from typing import Any

from penstock.errors import PenstockError

RAY_OPTIONS = ("num_cpus", "num_gpus", "memory", "resources", "accelerator_type", "label_selector", "runtime_env")


def ray_faults(thing: str, options: Mapping[str, Any]) -> list[PenstockError]:
    """What Ray would refuse when the model is trained, in dozens of lines of its own."""
    faults = [
        PenstockError(f"ray_options of {thing}", expected=", ".join(RAY_OPTIONS), found=repr(name))
        for name in options
        if name not in RAY_OPTIONS
    ]
    for name in ("num_cpus", "num_gpus", "memory"):
        value = options.get(name, 0)
        if not isinstance(value, int | float) or not value >= 0:
            of = f"{name} of ray_options of {thing}"
            faults.append(PenstockError(of, expected="a number of at least 0", found=repr(value)))
    return faults
