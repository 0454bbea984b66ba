"""How many threads a training computes with, where it shares a machine with others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
"""Read by OpenMP (scikit-learn, LightGBM, XGBoost), by numpy, and by joblib for `n_jobs=-1`."""


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Limit libraries to this number of threads in the calling thread.

    The variables count for libraries that are loaded later: a process of Ray may have trained another model before,
    with other libraries, so that those which are loaded already are told as well. CatBoost heeds neither.
    """
    os.environ |= dict.fromkeys(VARIABLES, str(threads))
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        yield
