"""What a deploy waits for: states of Ray Serve, one after the other, as Ray reports them."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from ray.serve.schema import ApplicationStatus, DeploymentDetails

from penstock.serving.on_ray import apply
from penstock.serving.on_ray.apply import ApplyError, State, goes_on, wait

LOST, UNABLE = "HEALTH_CHECK_FAILED", "REPLICA_STARTUP_FAILED"
STATUS, TRIGGER = (DeploymentDetails.model_fields[name].annotation for name in ("status", "status_trigger"))
WHY = "A replica's health check failed."


def failed(trigger: str) -> State:
    assert STATUS is not None
    assert TRIGGER is not None
    deployment = DeploymentDetails.model_construct(status=STATUS("DEPLOY_FAILED"), status_trigger=TRIGGER(trigger))
    return State(ApplicationStatus.DEPLOY_FAILED, (WHY,), {}, goes_on([deployment]))


def reports(*states: State) -> tuple[Callable[[], Mapping[str, State]], Iterator[State]]:
    """A function that returns one state after the other; and what of them was not asked for."""
    left = iter(states)
    return lambda: {"penstock": next(left)}, left


DEPLOYING, RUNNING = State(ApplicationStatus.DEPLOYING, (), {}), State(ApplicationStatus.RUNNING, (), {})


def test_a_new_replica_that_is_killed_in_a_roll_is_waited_for_as_ray_replaces_it() -> None:
    look, left = reports(DEPLOYING, failed(LOST), failed(LOST), RUNNING)
    wait(["penstock"], look)
    assert list(left) == []


def test_replicas_that_are_lost_until_ray_gives_up_are_a_failed_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "SECONDS", 0.3)
    look, _ = reports(DEPLOYING, *[failed(LOST)] * 1000)
    with pytest.raises(ApplyError, match=WHY):
        wait(["penstock"], look)


def test_a_replica_that_does_not_start_is_a_failed_deploy_at_once() -> None:
    look, left = reports(DEPLOYING, failed(UNABLE), RUNNING)
    with pytest.raises(ApplyError, match=WHY):
        wait(["penstock"], look)
    assert list(left) == [RUNNING]


def test_a_replica_without_a_place_is_said_with_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "SECONDS", 0.3)
    said = "Deployment 'Predictions' has 1 replicas that have taken more than 30s to be scheduled."
    counts = {"Predictions": {"ReplicaState.RUNNING": 3, "ReplicaState.STARTING": 1}}
    look, _ = reports(*[State(ApplicationStatus.DEPLOYING, (said,), counts)] * 1000)
    with pytest.raises(ApplyError) as stuck:
        wait(["penstock"], look)
    assert stuck.value.found.splitlines() == ["nothing new for 0 s: Predictions: 3 RUNNING, 1 STARTING", said]
    assert "max_replicas_per_node" in str(stuck.value)


def test_a_service_without_a_deployment_is_said_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "SECONDS", 0.3)
    look, _ = reports(*[State(ApplicationStatus.DEPLOYING, ("",), {})] * 1000)
    with pytest.raises(ApplyError, match=r"^the service: expected to serve, found nothing new for 0 s: no deployment$"):
        wait(["penstock"], look)
