"""The service on a Ray Serve of which every private name has moved: slower, not down, and not open to others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.serving.deploying.deploy import Rollout
from penstock.serving.on_ray.environment import folder as ray_folder
from tests.engine.serving.conftest import wait_for
from tests.engine.serving.ray_service import ON_LOOPBACK, RayService, listening, replicas, started

MOVE_NAMES = """
from penstock.serving.on_ray import compat
for name, value in list(vars(compat).items()):
    if isinstance(value, compat.PrivateName):
        setattr(compat, name, value._replace(path=value.path + "_moved"))
"""


@pytest.fixture(scope="module")
def ray_service(stack: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayService]:
    """Every process that is started runs MOVE_NAMES before anything else."""
    place = tmp_path_factory.mktemp("moved")
    (place / "sitecustomize.py").write_text(MOVE_NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place))
        with started(postgres, tmp_path_factory.mktemp("ray")) as service:
            yield service


def logged(service: RayService) -> str:
    """What the replicas have logged."""
    logs = Path(ray_folder(service.settings.home)) / "ray" / "session_latest" / "logs"
    return "\n".join(path.read_text(errors="replace") for path in logs.glob("worker-*.err"))


def test_it_predicts_and_requests_go_rays_way(ray_service: RayService) -> None:
    first = ray_service.ask().json()
    assert (first["release"], first["unchanged"]) == (1, False)
    assert ray_service.ask().json() == first | {"unchanged": True}
    assert ray_service.ask(valve="x").status_code == 422
    answer = ray_service.http.get("/healthz", headers={"x-request-id": "one"})
    assert len(answer.headers.get_list("x-request-id")) == 2, "Ray Serve adds one of its own"


def test_the_grpc_port_is_closed_after_it_opened(ray_service: RayService) -> None:
    assert listening(ray_service.settings) <= ON_LOOPBACK
    assert "closed what Ray Serve had opened beyond loopback" in logged(ray_service)


def test_a_config_is_applied_and_what_did_not_change_keeps_running(ray_service: RayService) -> None:
    (first,) = replicas(ray_service.settings)
    config = ray_service.folder / "serve.yaml"
    config.write_text(config.read_text().replace("min_replicas: 1", "min_replicas: 2"))
    Rollout(ray_service.settings).apply(config)
    wait_for(lambda: len(replicas(ray_service.settings)) == 2, 60)
    assert first in replicas(ray_service.settings)
    wait_for(lambda: listening(ray_service.settings) <= ON_LOOPBACK, 30)
