"""serve_config.yaml: what nothing reads, what Ray does not take and what cannot change is refused by name and line."""

import pytest

from penstock.serving.deploying import serve_config
from penstock.serving.deploying.serve_config import ServeConfigError
from tests.checkout import ROOT

SHIPPED = (ROOT / "serve_app" / "serve_config.yaml").read_text()
HOST, PORT = "127.0.0.1", 8123


def faults(text: str, running: str = "", host: str = HOST) -> list[str]:
    with pytest.raises(ServeConfigError) as refused:
        serve_config.read(text, "serve_config.yaml", host, PORT, running)
    return refused.value.faults


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


def test_the_shipped_one_is_taken_and_completed() -> None:
    config = serve_config.read(SHIPPED, "serve_config.yaml", HOST, PORT, running=SHIPPED)
    assert (config["http_options"]["host"], config["http_options"]["port"]) == ("127.0.0.1", 8123)
    deployment = config["applications"][0]["deployments"][0]
    assert deployment["max_surge_percent"] == 1
    assert serve_config.books(config) == ["prod"]
    serve_config.add_variables(config, {"A": "1"})
    variables = config["applications"][0]["runtime_env"]["env_vars"]
    assert variables == {"A": "1", serve_config.OPTIONS: variables[serve_config.OPTIONS]}


@pytest.mark.parametrize(
    ("before", "after", "replaces"),
    [
        ("max_ongoing_requests: 512", "max_ongoing_requests: 300", True),
        ("health_check_period_s: 5", "health_check_period_s: 6", True),
        ("metrics_interval_s: 1", "metrics_interval_s: 0.5", True),
        ("target_ongoing_requests: 64", "target_ongoing_requests: 60", False),
        ("max_replicas: 4", "max_replicas: 5", False),
    ],
)
def test_what_a_replica_is_told_of_its_options_replaces_it(before: str, after: str, *, replaces: bool) -> None:
    variables = []
    for text in (SHIPPED, SHIPPED.replace(before, after)):
        config = serve_config.read(text, "", HOST, PORT)
        serve_config.add_variables(config, {})
        variables.append(config["applications"][0]["runtime_env"]["env_vars"])
    assert before in SHIPPED
    assert (variables[0] != variables[1]) is replaces


def test_what_the_file_leaves_out_is_not_remembered_from_another() -> None:
    short = "applications: [{name: a, import_path: 'a:b'}]"
    first = serve_config.read(short, "", HOST, PORT)
    second = serve_config.read(short, "", HOST, 8124)
    assert (first["http_options"]["port"], second["http_options"]["port"]) == (8123, 8124)
    assert first["proxy_location"] == "EveryNode"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("max_ongoing_requests", "max_ongoing_request", "Did you mean max_ongoing_requests?"),
        ("min_replicas", "min_replica", "Did you mean min_replicas?"),
        ("num_cpus", "cpus", "no key of ray_actor_options. Did you mean num_cpus?"),
        ("keep_alive_timeout_s", "keepalive_timeout_s", "Did you mean keep_alive_timeout_s?"),
        ("route_prefix", "routes", "no key of an entry of applications"),
        ("proxy_location", "proxy", "no key of the file. Did you mean proxy_location?"),
        ("log_level", "loglevel", "Did you mean log_level?"),
    ],
)
def test_a_key_that_nothing_reads_is_named_with_its_line_and_the_nearest(right: str, wrong: str, said: str) -> None:
    text = SHIPPED.replace(f"{right}:", f"{wrong}:")
    found = faults(text)
    place = f"serve_config.yaml, line {line_of(text, f'{wrong}:')}: "
    assert any(fault.startswith(f"{place}'{wrong}' is ") and said in fault for fault in found), found


def test_all_faults_are_said_at_once() -> None:
    text = SHIPPED.replace("max_ongoing_requests:", "max_ongoing_request:").replace(
        "max_replicas: 4", "max_replicas: x"
    )
    found = "\n".join(faults(text.replace("num_cpus", "num_cpu")))
    for name in ("'max_ongoing_request'", "'num_cpu'", f"line {line_of(text, 'max_replicas: x')}: max_replicas"):
        assert name in found


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("max_replicas: 4", "max_replicas: -1", "max_replicas"),
        ("max_ongoing_requests: 512", "max_ongoing_requests: many", "found 'many'"),
        ("target_ongoing_requests: 64", "target_ongoing_requests: -1", "target_ongoing_requests"),
        ("    import_path: serve_app.deployment:build\n", "", "import_path: Field required"),
    ],
)
def test_a_value_that_ray_does_not_take_is_named(before: str, after: str, said: str) -> None:
    assert before in SHIPPED
    (found,) = faults(SHIPPED.replace(before, after))
    assert found.startswith("serve_config.yaml, line ")
    assert said in found


def test_a_key_that_stands_twice_is_said_for_yaml_takes_the_last() -> None:
    text = SHIPPED.replace("max_replicas: 4", "max_replicas: 4\n          min_replicas: 3")
    assert any("'min_replicas' stands here a second time" in fault for fault in faults(text))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "keep_alive_timeout_s: 75",
            "keep_alive_timeout_s: 60",
            "http_options.keep_alive_timeout_s is 75 on the running",
        ),
        ("proxy_location: EveryNode", "proxy_location: HeadOnly", "proxy_location is EveryNode on the running service"),
    ],
)
def test_what_a_running_service_cannot_change_is_refused_with_what_to_do(before: str, after: str, said: str) -> None:
    text = SHIPPED.replace(before, after)
    (found,) = faults(text, running=SHIPPED)
    assert said in found
    assert "`penstock down` and `penstock up`" in found
    assert serve_config.read(text, "", HOST, PORT), "a service that is not running takes it"


@pytest.mark.parametrize(("before", "after"), [("host: 127.0.0.1", "host: 0.0.0.0"), ("port: 8000", "port: 9000")])
def test_the_host_and_port_are_the_settings(before: str, after: str) -> None:
    (found,) = faults(SHIPPED.replace(before, after))
    assert f"Set PENSTOCK_HTTP_{after.split(':', maxsplit=1)[0].upper()}" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("applications: [", "line 1: "),
        ("- a\n", "expected a mapping with `applications`, found list"),
        ("", "expected a mapping with `applications`, found NoneType"),
    ],
)
def test_what_is_no_configuration_at_all_is_said(text: str, said: str) -> None:
    (found,) = faults(text)
    assert said in found
