"""Autoscaling tried dry: how many replicas the policy of a serve_config.yaml would have at some loads."""

import inspect
import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from penstock.errors import PenstockError
from penstock.serving.on_ray.scaling import LATENCY

LOADS = (0.0, 1.0, 2.0, 4.0)
"""Times the target of the fewest replicas."""
ASSUMED_MS = 100.0
"""The target of a policy that names no `target_ms`."""


class ScalingTrial(msgspec.Struct, frozen=True):
    """One deployment's policy, its bounds, and how many replicas it would have at each of LOADS."""

    deployment: str
    policy: str
    least: int
    most: int
    replicas: tuple[int, ...]


def trials(config: Mapping[str, Any]) -> list[ScalingTrial]:
    """Ask the policy of each deployment that has one; PenstockError where it does not decide."""
    return [
        _trial(deployment["name"], AutoscalingConfig.model_validate(options))
        for application in config["applications"]
        for deployment in application.get("deployments") or ()
        if isinstance(options := deployment.get("autoscaling_config"), dict)
    ]


def _trial(name: str, config: AutoscalingConfig) -> ScalingTrial:
    chosen = config.policy
    function, least, most = str(chosen.policy_function), config.min_replicas, config.max_replicas
    try:
        policy: Any = chosen.get_policy()
        policy = policy(**chosen.policy_kwargs) if inspect.isclass(policy) else policy
        replicas = []
        for load in LOADS:
            wanted, _ = policy(_context(name, config, load))
            replicas.append(max(least, min(most, math.ceil(wanted))))
    except PenstockError:
        raise
    except Exception as error:
        raise PenstockError(
            f"autoscaling policy {function}",
            expected="a number of replicas, and a dictionary to remember",
            found=f"{type(error).__name__}: {error}",
            todo="Correct it, or `policy` of autoscaling_config.",
        ) from error
    own = not chosen.is_default_policy_function()
    shown = (
        f"{function} {chosen.policy_kwargs or ''}".strip() if own else f"{config.target_ongoing_requests:g} requests"
    )
    return ScalingTrial(name, shown, least, most, tuple(replicas))


def _context(name: str, config: AutoscalingConfig, load: float) -> AutoscalingContext:
    """What a policy is told when the fewest replicas have `load` times their target."""
    count = max(config.min_replicas, 1)
    running = [f"{name}#{number}" for number in range(count)]
    latency = load * float(config.policy.policy_kwargs.get("target_ms", ASSUMED_MS))
    return AutoscalingContext(
        deployment_id=name,  # type: ignore[arg-type]  # names take the place of Ray's private ids
        deployment_name=name,
        app_name="",
        current_num_replicas=count,
        target_num_replicas=count,
        running_replicas=running,  # type: ignore[arg-type]
        total_num_requests=load * count * (config.target_ongoing_requests or 1.0),
        total_queued_requests=0.0,
        aggregated_metrics={LATENCY: dict.fromkeys(running, latency)},  # type: ignore[arg-type]
        raw_metrics={},
        capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=time.time(),
        config=config,
    )
