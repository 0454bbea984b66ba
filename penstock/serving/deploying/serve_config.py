"""The serve_config.yaml that operators edit: read, checked key by key, and completed with what the settings say."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
import yaml
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.schema import (
    DeploymentSchema,
    HTTPOptionsSchema,
    LoggingConfig,
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
    gRPCOptionsSchema,
)

from penstock.errors import PenstockError
from penstock.project import Project
from penstock.settings import HTTP_PORT, BookName

OPTIONS = "SERVE_OPTIONS"
NOT_TOLD = ("num_replicas", "autoscaling_config", "max_queued_requests")
TOLD_OF_SCALING = ("metrics_interval_s", "look_back_period_s")

INSIDE: Mapping[type[Any], Mapping[str, type[Any]]] = {
    ServeDeploySchema: {
        "http_options": HTTPOptionsSchema,
        "grpc_options": gRPCOptionsSchema,
        "logging_config": LoggingConfig,
        "applications": ServeApplicationSchema,
    },
    ServeApplicationSchema: {"deployments": DeploymentSchema, "logging_config": LoggingConfig},
    DeploymentSchema: {
        "autoscaling_config": AutoscalingConfig,
        "ray_actor_options": RayActorOptionsSchema,
        "logging_config": LoggingConfig,
    },
    AutoscalingConfig: {"policy": AutoscalingPolicy},
}
"""Which keys hold a mapping, or a list of mappings, with known keys of its own."""
AT_START = ("proxy_location", "http_options", "grpc_options", "controller_options")
"""What Ray Serve reads when it starts, and ignores on a running service."""
NEAR = 0.5
SURGE_PERCENT = 1
"""Rounded up to one replica: a new one is there before an old one goes. Ray's own default stops the old one first."""
DEFAULTS = {"proxy_location": "EveryNode", "http_options": {}, "logging_config": {}}


class ServeConfigError(PenstockError):
    """A serve_config.yaml that cannot be deployed. Its text has a line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def read(text: str, name: str, host: str, port: int, running: str = "") -> dict[str, Any]:
    """The configuration in a text, complete; ServeConfigError names every fault of it with the file's `name` and line.

    - `host` and `port` are the service's, by the settings.
    - `running` is the text that the running service was started with: what it cannot change is refused.
    """
    config, root = _parse(text, name)
    faults = [f"{name}, line {line}: {said}" for line, said in _unknown(root, ServeDeploySchema, "the file")]
    faults += [f"{name}{_place(root, where)}: {said}" for where, said in _invalid(config)]
    for where, said in [
        *_elsewhere(config, host, port),
        *(_fixed(config, _parse(running, name)[0]) if running else []),
    ]:
        faults.append(f"{name}{_place(root, where)}: {said}")
    if faults:
        raise ServeConfigError(faults)
    config = DEFAULTS | config
    config["http_options"] = config["http_options"] | {"host": host, "port": port}
    for deployment in (one for application in config["applications"] for one in application.get("deployments") or ()):
        deployment.setdefault("max_surge_percent", SURGE_PERCENT)
    return config


def add_variables(config: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Let the replicas of every application have these variables, and one that says their options. Ray Serve replaces
    replicas when they change."""
    for application in config["applications"]:
        runtime = application.setdefault("runtime_env", {})
        runtime["env_vars"] = runtime.get("env_vars", {}) | variables | {OPTIONS: _options(application)}


def _options(application: Mapping[str, Any]) -> str:
    """The digest of what the replicas are told beside their arguments. Ray Serve takes a replica out of rotation while
    it is told a change, and one that is alone then answers nobody: it is replaced instead."""
    told: list[object] = [application.get("logging_config")]
    for deployment in application.get("deployments") or ():
        scaling = deployment.get("autoscaling_config") or {}
        told.append({name: value for name, value in deployment.items() if name not in NOT_TOLD})
        told.append([scaling.get(name) for name in TOLD_OF_SCALING])
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


def of_project(project: Project, host: str, port: int) -> dict[str, Any]:
    """The project's own configuration, as `read` returns it."""
    path = project.serve_config
    return read(path.read_text(), f"{path.parent.name}/{path.name}", host, port)


def lacking_cpus(config: Mapping[str, Any], there: float, *, spare: bool) -> str:
    """What to say where the replicas, and one more while they are replaced, find no CPUs; empty where they do."""
    shares = []
    for deployment in (one for application in config["applications"] for one in application.get("deployments") or ()):
        replicas = (deployment.get("autoscaling_config") or {}).get("min_replicas") or deployment.get("num_replicas")
        cpus = float((deployment.get("ray_actor_options") or {}).get("num_cpus", 1))
        shares += [cpus] * (replicas if isinstance(replicas, int) else 1)
    needed = sum(shares) + (max(shares, default=0) if spare else 0)
    if needed <= there:
        return ""
    more = " and one more while they are replaced" if spare else ""
    todo = "Lower min_replicas or num_cpus."
    return f"{len(shares)} replicas{more} need {needed:g} CPUs by num_cpus, where Ray has {there:g}. {todo}"


def books(config: Mapping[str, Any]) -> list[BookName]:
    """Which books the applications read. What is no book `build` refuses."""
    named = {(application.get("args") or {}).get("book", "prod") for application in config["applications"]}
    return [book for book in get_args(BookName) if book in named]


def _parse(text: str, name: str) -> tuple[dict[str, Any], yaml.Node]:
    try:
        config, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ServeConfigError([f"{name}, line {line}: {error.problem}"]) from None
    if not isinstance(config, dict) or root is None:
        raise ServeConfigError([f"{name}: expected a mapping with `applications`, found {type(config).__name__}"])
    return config, root


def _unknown(node: yaml.Node, schema: type[Any], owner: str) -> Iterator[tuple[int, str]]:
    """Line and fault of each key that nothing reads, or that stands twice, down to the last mapping of INSIDE."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _unknown(item, schema, owner)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    known = {field.alias or name for name, field in schema.model_fields.items()}
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, NEAR)
            todo = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(sorted(known))}."
            yield line, f"{name!r} is no key of {owner}. {todo}"
        elif name in seen:
            yield line, f"{name!r} stands here a second time. Remove one."
        seen.add(name)
        inside = INSIDE.get(schema, {}).get(name)
        if inside:
            yield from _unknown(value, inside, name if name.endswith(("options", "config")) else f"an entry of {name}")


def _invalid(config: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Where and why Ray Serve does not take a value."""
    try:
        ServeDeploySchema.model_validate(config)
    except ValueError as error:
        yield from _of(error, ())
        return
    except Exception as error:  # what importing a policy raises: Ray does not say which one
        named = [function for _, options in _scaling(config) if (function := _policy(options))]
        words = f"cannot be imported: {type(error).__name__}: {error}. Write MODULE:NAME of the project."
        yield (), f"policy_function {' or '.join(map(repr, named))} {words}"
        return
    for where, options in _scaling(config):
        try:
            AutoscalingConfig.model_validate(options)
        except ValueError as error:
            yield from _of(error, where)


def _scaling(config: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Each `autoscaling_config`, and where it stands."""
    for number, application in enumerate(config["applications"]):
        for place, deployment in enumerate(application.get("deployments") or []):
            options = deployment.get("autoscaling_config")
            if isinstance(options, dict):
                yield ("applications", number, "deployments", place, "autoscaling_config"), options


def _policy(options: Mapping[str, Any]) -> str:
    policy = options.get("policy")
    return str(policy.get("policy_function", "")) if isinstance(policy, dict) else ""


def _of(error: Any, where: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The faults of pydantic's ValidationError."""
    for one in error.errors():
        words = one["msg"].removeprefix("Value error, ")
        found = "" if isinstance(one["input"], dict | list) else f", found {one['input']!r}"
        named = next((f"{part}: " for part in reversed(one["loc"]) if isinstance(part, str)), "")
        yield (*where, *one["loc"]), f"{named}{words}{found}"


def _elsewhere(config: Mapping[str, Any], host: str, port: int) -> Iterator[tuple[tuple[Any, ...], str]]:
    """What the settings say, not the file."""
    options = config.get("http_options")
    said = {
        "host": ("PENSTOCK_HTTP_HOST", (host, "127.0.0.1")),
        "port": ("PENSTOCK_HTTP_PORT", (port, HTTP_PORT)),
    }
    for key, (variable, allowed) in said.items():
        if isinstance(options, dict) and options.get(key, allowed[0]) not in allowed:
            todo = f"Set {variable}, then `penstock down` and `penstock up`; remove the key here."
            yield ("http_options", key), f"{key} is {allowed[0]} by the settings, found {options[key]!r}. {todo}"


def _fixed(config: Mapping[str, Any], running: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """What differs from the running service and cannot change there."""
    for key in AT_START:
        now, wanted = _flat(key, running), _flat(key, config)
        for where in sorted({*now, *wanted} - {("http_options", "host"), ("http_options", "port")}):
            before, after = now.get(where, "its default"), wanted.get(where, "its default")
            if before != after:
                words = f"{'.'.join(where)} is {before} on the running service, which cannot change it, found {after}."
                yield where, f"{words} Put it back, or `penstock down` and `penstock up`."


def _flat(key: str, config: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """A key and its value, or each key inside it."""
    value = config.get(key, DEFAULTS.get(key))
    return {(key, name): inside for name, inside in value.items()} if isinstance(value, dict) else {(key,): value}


def _place(node: yaml.Node | None, where: tuple[Any, ...]) -> str:
    """`, line N` of the key or item at a place; as far down as the text has it."""
    line = 0
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return f", line {line}" if line else ""
