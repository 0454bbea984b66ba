"""One thread for scikit-learn: its small models spend their time in waiting for other threads."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Limit OpenMP and BLAS to one thread during the tests of each file."""
    with threadpool_limits(1):
        yield
