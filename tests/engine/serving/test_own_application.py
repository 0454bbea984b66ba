"""A model as a Serve application of its own, by configuration: with replicas that no other model has."""

import os
import signal
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest
import yaml

from penstock.errors import PenstockError
from penstock.serving.app import App
from penstock.serving.deploying.deploy import Rollout
from penstock.serving.deployment import build
from penstock.settings import Settings
from tests.engine.serving import toy
from tests.engine.serving.conftest import wait_for
from tests.engine.serving.ray_service import QUESTION, RayService, replicas, started

BIG = msgspec.structs.replace(toy.CONTRACT, model="big")


@pytest.fixture
def apart(stack: None, postgres: str, tmp_path: Path) -> Iterator[RayService]:
    """The toy and `big`, each an application with a replica of its own."""
    with started(postgres, tmp_path) as service:
        toy.release(service.book, service.settings.artifacts, tmp_path, contract=BIG)
        config = yaml.safe_load((tmp_path / "serve.yaml").read_text())
        [first] = config["applications"]
        own = deepcopy(first) | {"name": "big", "route_prefix": "/models/big"}
        own["args"]["models"] = ["big"]
        config["applications"].append(own)
        (tmp_path / "two.yaml").write_text(yaml.safe_dump(config))
        Rollout(service.settings).apply(tmp_path / "two.yaml")
        yield service


def test_a_model_of_an_application_of_its_own_does_not_notice_when_all_others_go(apart: RayService) -> None:
    wait_for(lambda: apart.http.post("/models/big/predict", json=QUESTION).status_code == 200, 30)
    assert apart.ask().status_code == 200
    assert apart.http.get("/models/big").json()["state"]["model"] == "big"
    assert apart.http.get("/readyz").json()["models"] == {"overflow": "ready"}
    running = replicas(apart.settings)
    assert len(running) == 2
    before = apart.http.get("/state").json()["replica"]
    assert before in running
    os.kill(before, signal.SIGKILL)
    answers = [apart.http.post("/models/big/predict", json=QUESTION | {"valve": n}).status_code for n in range(50)]
    assert answers == [200] * 50
    wait_for(lambda: apart.ask().status_code == 200, 60)


def test_a_model_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match="expected one of big, found 'bigg'"):
        App(Settings(home=tmp_path), "", {"big": BIG}, models=["bigg"])
    served = App(Settings(home=tmp_path), "", {"big": BIG, "overflow": toy.CONTRACT}, models=["big"])
    assert list(served.models) == ["big"]


@pytest.mark.parametrize("models", ["big", [1], {"big": 1}])
def test_models_are_a_list_of_names(models: object) -> None:
    with pytest.raises(PenstockError, match=r"expected models: \[NAME, …\], found"):
        build({"models": models})
