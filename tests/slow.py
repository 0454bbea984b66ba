"""Parameters of tests of which `make test-fast` takes a few: the others are marked `slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after(few: int, values: Iterable[Any]) -> list[Any]:
    """Values for `parametrize` or the `params` of a fixture: the first few are always tried."""
    return [value if at < few else pytest.param(value, marks=pytest.mark.slow) for at, value in enumerate(values)]


def seeded(few: int, most: int) -> pytest.MarkDecorator:
    """A test of random models takes `seeds`: those of a few are always tried, the others of `most` where time is."""
    return pytest.mark.parametrize("seeds", slow_after(1, [range(few), range(few, most)]), ids=["few", "others"])
