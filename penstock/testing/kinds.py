"""What pytest is told: kinds of tests by the fixtures that they use, so that `-m "not slow"` leaves some out."""

import os

import pytest

KINDS = {
    "slow": "takes more than about half a second, or starts processes of Ray or Dagster, or a browser",
    "stack": "starts processes of Ray or Dagster, or the whole system",
    "browser": "needs a Chromium on the machine",
}
# What a test file's imports read before any room of the engine can say the same.
ENVIRONMENT = {
    # Read by OpenMP when scikit-learn loads it.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Read by Ray when it is imported: without it Ray looks for a head on 127.0.0.1 at the machine's outer address.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


@pytest.fixture(scope="session")
def slow() -> None:
    """Requested by a fixture, or by a test itself, whose tests take long: each of them is marked `slow`."""


@pytest.fixture(scope="session")
def stack(slow: None) -> None:
    """Requested by a fixture that starts processes of Ray or Dagster: its tests are marked `stack` and `slow`."""


@pytest.fixture(scope="session")
def browser(slow: None) -> None:
    """Requested by a fixture that opens a browser: its tests are marked `browser` and `slow`."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and set what libraries read when they are imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name, what in KINDS.items():
        config.addinivalue_line("markers", f"{name}: {what}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by the fixtures that it uses, directly or through others."""
    for name in KINDS:
        if name in getattr(item, "fixturenames", ()):
            item.add_marker(name)
