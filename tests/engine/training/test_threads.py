"""A training on Ray computes with as many threads as it asks CPUs for; what Ray would refuse is refused before."""

import os
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info

from penstock.errors import PenstockError
from penstock.training.on_ray import threads_of
from penstock.training.threads import VARIABLES, thread_limit
from tests.engine.training.tanks import tank_model


def test_libraries_that_are_loaded_already_are_limited_and_those_that_come_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "7")
    matrix = np.random.default_rng(0).normal(size=(200, 2))
    HistGradientBoostingRegressor(max_iter=2).fit(matrix, matrix[:, 0])  # loads OpenMP
    found: list[int] = []

    def train() -> None:
        with thread_limit(1):
            found.extend(pool["num_threads"] for pool in threadpool_info())

    thread = Thread(target=train)
    thread.start()
    thread.join()
    assert len(found) > 1
    assert set(found) == {1}
    assert {os.environ[name] for name in VARIABLES} == {"1"}


@pytest.mark.parametrize(("cpus", "threads"), [(8, 8), (0.5, 1), (0, 1), (2.0, 2)])
def test_threads_are_as_many_as_cpus_and_at_least_one(cpus: float, threads: int) -> None:
    assert threads_of({"num_cpus": cpus}) == threads


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpus": 8}, "ray_options of model 'overflow': expected num_cpus, num_gpus, .* found 'cpus'"),
        (
            {"memory": "16 GB"},
            "memory of ray_options of model 'overflow': expected a number of at least 0, found '16 GB'",
        ),
        ({"num_gpus": -1}, "num_gpus of ray_options"),
    ],
)
def test_what_ray_would_refuse_is_refused_where_it_is_declared(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PenstockError, match=said):
        replace(tank_model(object), ray_options=options)
