"""A system that assets read, for tests of single assets."""

from datetime import timedelta
from pathlib import Path

import pytest

from penstock.testing import Clock, System


@pytest.fixture
def an_hour_later(system: System, clock: Clock) -> Path:
    """The home of a system over both books, an hour after NOON."""
    clock.forward(timedelta(hours=1))
    return system.home
