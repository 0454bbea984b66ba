"""Autoscaling: the policy stands in serve_config.yaml, is refused by name where it is wrong, and is tried dry."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from penstock.errors import PenstockError
from penstock.serving.deploying import serve_config
from penstock.serving.deploying.scaling_trial import trials
from penstock.serving.deploying.serve_config import ServeConfigError
from penstock.serving.on_ray.scaling import LATENCY, ByLatency
from tests.checkout import ROOT
from tests.engine.serving.conftest import Service

SHIPPED = (ROOT / "serve_app" / "serve_config.yaml").read_text()
BY_LATENCY = "penstock.serving.on_ray.scaling:ByLatency"


def read(policy: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The shipped configuration with another policy."""
    config = yaml.safe_load(SHIPPED)
    scaling = config["applications"][0]["deployments"][0]["autoscaling_config"]
    scaling |= options | ({"policy": policy} if policy else {})
    return serve_config.read(yaml.safe_dump(config, sort_keys=False), "it", "127.0.0.1", 8000)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with policies of a project's own; returns its name."""
    (tmp_path / "own_policies.py").write_text(
        "def one_more(context):\n    return context.current_num_replicas + 1, {}\n\n\n"
        "def nothing(context):\n    return None\n\n\ndef broken(context):\n    return context.nowhere, {}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_policies", raising=False)
    return "own_policies"


def test_requests_under_way_decide_by_default() -> None:
    [tried] = trials(read(min_replicas=1, max_replicas=3))
    assert (tried.policy, tried.replicas) == ("64 requests", (1, 1, 2, 3))


def test_latency_decides_where_the_file_says_so() -> None:
    [tried] = trials(read({"policy_function": BY_LATENCY, "policy_kwargs": {"target_ms": 20}}, max_replicas=5))
    assert (tried.least, tried.most, tried.replicas) == (2, 5, (2, 2, 4, 5))
    assert "ByLatency {'target_ms': 20}" in tried.policy
    with pytest.raises(PenstockError, match="target_ms, the milliseconds of an answer: more than 0"):
        trials(read({"policy_function": BY_LATENCY}))


def test_replicas_without_an_answer_say_nothing_about_latency() -> None:
    context = SimpleNamespace(
        current_num_replicas=3, capacity_adjusted_min_replicas=1, aggregated_metrics={LATENCY: {"a": 0.0, "b": 0.0}}
    )
    assert ByLatency(10.0)(context)[0] == 1
    context.aggregated_metrics = {LATENCY: {"a": 0.0, "b": 20.0}}
    assert ByLatency(10.0)(context)[0] == 6


def test_a_projects_own_function_decides_and_one_that_does_not_is_named(own: str) -> None:
    [tried] = trials(read({"policy_function": f"{own}:one_more"}))
    assert tried.replicas == (3, 3, 3, 3)
    for name, said in (
        ("nothing", "TypeError: cannot unpack"),
        ("broken", "AttributeError: 'AutoscalingContext' object has no"),
    ):
        with pytest.raises(PenstockError) as refused:
            trials(read({"policy_function": f"{own}:{name}"}))
        assert f"{own}:{name}" in str(refused.value)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"policy_function": "nowhere:policy"}, "'nowhere:policy' cannot be imported: ModuleNotFoundError"),
        ({"policy_function": "json:policy"}, "'json:policy' cannot be imported: AttributeError"),
        ({"policy_functon": "a:b"}, "'policy_functon' is no key of"),
    ],
)
def test_a_policy_that_is_not_there_is_a_fault_of_the_file(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(ServeConfigError) as refused:
        read(policy)
    assert any(said in fault and fault.startswith("it") for fault in refused.value.faults)


def test_a_replica_reports_the_mean_latency_of_its_last_answers(service: Service) -> None:
    assert service.app.latency(60.0) == 0.0
    answers = [service.ask(inflow=n).status_code for n in range(3)]
    assert answers == [200, 200, 200]
    assert 0.0 < service.app.latency(60.0) < 60_000.0
    assert service.app.latency(0.0) == 0.0
