"""Every private name of Ray, uvicorn and Ray's HAProxy configuration that this room uses.

Without a name the service is slower or larger, never down: `without` says how. A test names each one that an upgrade
has moved.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple


class PrivateName(NamedTuple):
    """An attribute of a module, by its dotted path, and what happens without it."""

    module: str
    path: str
    without: str

    def find(self) -> Any | None:
        """What the name stands for, None if it is not there."""
        try:
            return reduce(getattr, self.path.split("."), importlib.import_module(self.module))
        except (ImportError, AttributeError):
            return None


RAYS_WAY = "requests go through Ray Serve's own bookkeeping, at about twice the CPU"
TWO_WRITES = "head and body of a response are two packets"

REQUEST_METADATA = PrivateName("ray.serve._private.common", "RequestMetadata", RAYS_WAY)
HTTP = PrivateName("ray.serve._private.common", "RequestProtocol.HTTP", RAYS_WAY)
CAN_ACCEPT = PrivateName("ray.serve._private.replica", "Replica._can_accept_request", RAYS_WAY)
TRACK_QUEUED = PrivateName("ray.serve._private.replica", "Replica._track_queued_request", RAYS_WAY)
START_REQUEST = PrivateName("ray.serve._private.replica", "Replica._start_request", RAYS_WAY)
INGRESS = PrivateName("ray.serve._private.replica", "Replica._direct_ingress_asgi", RAYS_WAY)
ADD_PORT = PrivateName(
    "ray.serve._private.replica", "add_port_to_grpc_server", "the replica's gRPC port is closed after it was opened"
)
GLOBAL_CLIENT = PrivateName(
    "ray.serve.context", "_get_global_client", "a config is applied by the command `serve run`, seconds later"
)
NO_UPLOAD = "`penstock deploy --ray` cannot bring code: the nodes need it, see --code-on-nodes"
DASHBOARD = PrivateName("ray.dashboard.modules.serve.sdk", "ServeSubmissionClient", "`penstock deploy --ray` is gone")
UPLOAD = PrivateName(
    "ray.dashboard.modules.serve.sdk", "ServeSubmissionClient._upload_working_dir_if_needed", NO_UPLOAD
)
REFUSES_WHILE_BUILT = "a deploy of changed code or arguments refuses requests while Ray builds it, for about a second"
APPLICATION_STATE = PrivateName("ray.serve._private.application_state", "ApplicationState", REFUSES_WHILE_BUILT)
SET_TARGET = PrivateName(
    "ray.serve._private.application_state", "ApplicationState._set_target_state", REFUSES_WHILE_BUILT
)
HTTP_PROTOCOLS = PrivateName("uvicorn.config", "HTTP_PROTOCOLS", TWO_WRITES)
HTTP_TOOLS = PrivateName("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol", TWO_WRITES)
NAMES = (
    *(REQUEST_METADATA, HTTP, CAN_ACCEPT, TRACK_QUEUED, START_REQUEST, INGRESS),
    *(DASHBOARD, UPLOAD),
    *(ADD_PORT, GLOBAL_CLIENT, HTTP_PROTOCOLS, HTTP_TOOLS, APPLICATION_STATE, SET_TARGET),
)
ROUTE_PREFIX, WRAPPED_APP = "_route_prefix", "_app"
"""Attributes of a Replica, and of Ray Serve's middlewares; without them requests go Ray's way."""
HTTP_CONFIG = "http_config"
"""Attribute of Ray Serve's client. Without it a replica on a loopback node demands no keys where the configuration of
plain `serve deploy` names another host."""
INGRESS_NAME = "_ingress_deployment_name"
"""Attribute of an ApplicationState."""
RAY_COMMAND = ("scripts", "scripts.py")
"""In the package ray: the module behind the command `ray`. Without it the command itself is run."""
OPTIONAL_IMPORTERS = {"ray.serve._private.utils", "ray._private.arrow_serialization"}
"""Modules of Ray that import pandas and pyarrow and do without. If they move, a process of Ray has 50 MB more."""
UNNEEDED = ("dashboard/dashboard.py", "ray.util.client.server")
"""In the commands of processes that `ray start` starts and nothing here needs. If they move, they go on running."""
HAPROXY_LINES = (
    ("return status 404 content-type text/plain", "an HAProxy without routes answers 404, not 503 with Retry-After"),
    ("mode 666 level admin", "the admin socket is open to all users of the machine"),
    ("    bind :{{ config.metrics_port }}", "the metrics port is open to all interfaces"),
    ("  bind *:{{ config.stats_port }}", "the statistics port is open to all interfaces"),
    ("global\n", "HAProxy does not start with few open files"),
    ("\ndefaults\n", "an unfinished request takes a slot of a replica"),
    ("\nfrontend http_frontend\n", "a replica watches each request for a disconnect"),
    (
        " check{% if config.observe_mark_down_enabled %} observe ",
        "a request to a node that is cut off waits for minutes",
    ),
    (" check backup\n", "a request without a replica waits in a proxy"),
    ("    option httplog\n", "a log line is made for each request"),
    ("    option splice-request\n", "bodies move through pipes"),
    ("    log global\n", "a log line is sent for each request"),
)
"""Lines of Ray's HAProxy template that the starter changes (see haproxy.py), and what happens if they move."""


class Slots(NamedTuple):
    """How a request takes a slot of a replica: `metadata` is the argument of `can_accept` and `start`."""

    metadata: Any
    can_accept: Callable[[Any], bool]
    track_queued: Callable[[], Any]
    start: Callable[[Any], Any]


def slots(app: Any) -> Slots | None:
    """The slots of the replica whose requests `app` takes; None for a proxy, or if a name is missing."""
    replica = getattr(getattr(app, WRAPPED_APP, app), "__self__", None)
    metadata, http = REQUEST_METADATA.find(), HTTP.find()
    names = [name.path.rpartition(".")[2] for name in (CAN_ACCEPT, TRACK_QUEUED, START_REQUEST)]
    if metadata is None or http is None or not all(hasattr(replica, name) for name in names):
        return None
    try:
        slot = metadata("", "", _request_protocol=http, is_direct_ingress=True)
        found = Slots(slot, *(getattr(replica, name) for name in names))
        for function, arguments in ((found.can_accept, 1), (found.track_queued, 0), (found.start, 1)):
            inspect.signature(function).bind(*[slot] * arguments)
    except TypeError:
        return None
    return found


def route_prefix(app: Any) -> str | None:
    """The route prefix of the replica whose requests `app` takes, None if it is not known."""
    found = getattr(getattr(getattr(app, WRAPPED_APP, app), "__self__", None), ROUTE_PREFIX, None)
    return found if isinstance(found, str) else None


def use_http_protocol(import_path: str) -> bool:
    """Let uvicorn take an HTTP protocol of ours where none is named; returns whether it does."""
    protocols = HTTP_PROTOCOLS.find()
    if not isinstance(protocols, dict) or "auto" not in protocols or HTTP_TOOLS.find() is None:
        return False
    protocols["auto"] = import_path
    return True


def http_tools_protocol() -> type[Any]:
    """uvicorn's HTTP protocol over httptools."""
    found: type[Any] = getattr(importlib.import_module(HTTP_TOOLS.module), HTTP_TOOLS.path)
    return found


def serve_client() -> Any | None:
    """The client of the running Ray Serve that can deploy a config, None if there is no such client."""
    make = GLOBAL_CLIENT.find()
    client = make() if make is not None else None
    return client if hasattr(client, "deploy_apps") else None


def dashboard(url: str) -> Any:
    """The client of Serve's REST interface behind the command `serve deploy`."""
    make = DASHBOARD.find()
    if make is None:
        raise RuntimeError(f"Ray has moved {DASHBOARD.path}: {DASHBOARD.without}")
    return make(url)


def upload(client: Any, runtime_env: dict[str, Any]) -> None:
    """Upload the `working_dir` of a runtime_env to the cluster of a client, and name the upload there instead."""
    if UPLOAD.find() is None:
        raise RuntimeError(f"Ray has moved {UPLOAD.path}: {UPLOAD.without}")
    getattr(client, UPLOAD.path.rpartition(".")[2])(runtime_env)


def http_host() -> str:
    """The host that the running Ray Serve listens on, whoever configured it; loopback where it cannot be asked."""
    make = GLOBAL_CLIENT.find()
    config = getattr(make() if make is not None else None, HTTP_CONFIG, None)
    return str(getattr(config, "host", None) or "127.0.0.1")


def ray_command() -> list[str]:
    """The command `ray`, by this interpreter if it can be."""
    found = find_spec("ray")
    if found and found.origin and Path(found.origin).parent.joinpath(*RAY_COMMAND).is_file():
        return [sys.executable, "-m", ".".join(("ray", *RAY_COMMAND)).removesuffix(".py")]
    return [str(Path(sys.executable).parent / "ray")]
