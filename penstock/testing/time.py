"""Time that stands still until a test moves it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""The instant at which every test begins."""


class Clock:
    """The instant that Penstock lives in, kept in PENSTOCK_NOW.

    Settings that are loaded, warehouses that are opened and services that are started after it has been moved live in
    the new instant; those that exist already stay where they are.
    """

    def __init__(self, environment: pytest.MonkeyPatch, now: datetime = NOON) -> None:
        self._environment = environment
        self.now = self.set(now)

    def set(self, instant: datetime | str) -> datetime:
        """Move to an instant, or to an ISO 8601 text of one; without a zone it is UTC. Returns the instant."""
        found = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        self.now = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        self._environment.setenv("PENSTOCK_NOW", self.now.isoformat())
        return self.now

    def forward(self, by: timedelta) -> datetime:
        """Move by a span of time. Returns the new instant."""
        return self.set(self.now + by)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The clock of Penstock, which stands at noon of 22 November 2026 (UTC) until the test moves it."""
    with pytest.MonkeyPatch.context() as environment:
        yield Clock(environment)
