"""What one node of a cluster of others needs before `ray start`: its variables, and the starter of its HAProxy."""

import os
import shlex
from pathlib import Path

from penstock.errors import PenstockError
from penstock.rendering.environment import node_environment
from penstock.serving.on_ray import haproxy
from penstock.serving.on_ray.environment import folder, python_path, ray_switches
from penstock.settings import PROJECT, Settings

OF_HAPROXY = (
    "RAY_SERVE_HAPROXY_BINARY_PATH",
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC",
    "RAY_SERVE_HAPROXY_SOCKET_PATH",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH",
    "RAY_SERVE_HAPROXY_MAXCONN",
)
STATS_PORT = 8404
"""Ray's own default: the starter binds it to loopback."""
METRICS_PORT = 9101
"""Ray's own default for the metrics of HAProxy, which stay open to Prometheus."""
NOT_THE_METRICS = 0
AUTH_MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray's own variables: who reaches the ports of a cluster without a token can run anything on its nodes."""


def write(settings: Settings) -> Path:
    """Write the node's files; returns the one to source in the shell that starts Ray. It holds no secret.

    PenstockError where Ray would demand a token, as it does unless RAY_AUTH_MODE says otherwise, and there is none.
    """
    auth_mode = _auth_mode()
    switches = ray_switches(settings.home)
    starter = Path(switches["RAY_SERVE_HAPROXY_BINARY_PATH"])
    https = haproxy.Https.of(settings.https_address, settings.tls_file)
    text = haproxy.starter(starter.parent, metrics_port=NOT_THE_METRICS, stats_port=STATS_PORT, https=https)
    starter.write_text(text)
    variables = node_environment(settings) | {name: switches[name] for name in OF_HAPROXY}
    variables |= {"PENSTOCK_HOME": str(settings.home), AUTH_MODE: auth_mode}
    if settings.project:
        variables[PROJECT] = str(settings.project.root)
    variables["PYTHONPATH"] = python_path(settings.home, settings.project)
    file = folder(settings.home) / "node.sh"
    file.write_text("".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items()))
    return file


def _auth_mode() -> str:
    mode, file = os.environ.get(AUTH_MODE, "token"), os.environ.get(TOKEN_FILE, "")
    if mode == "token" and not os.environ.get(TOKEN) and not (file and Path(file).is_file()):
        raise PenstockError(
            f"{TOKEN_FILE}={file}" if file else TOKEN_FILE,
            expected="the file of a token that all nodes of the cluster share",
            found="no file" if file else "nothing",
            todo="Write it once: `openssl rand -hex 32`, and copy it to every node. "
            f"{AUTH_MODE}=disabled starts Ray without a token, where nobody else reaches its ports.",
        )
    return mode
