"""The environment in which a local Ray head and everything below it runs: loopback only, small, its own ports."""

import hashlib
import os
import resource
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from penstock.errors import PenstockError
from penstock.postgres.databases import Databases
from penstock.processes import free_port
from penstock.project import Project, find_or_none
from penstock.serving.on_ray import haproxy
from penstock.settings import PROJECT, Settings

# Ray imports pandas and pyarrow into its controller, its proxies and every replica, where nothing uses them, and does
# without where they are not found: 50 MB less for each. `requests`, which it hardly ever uses, is put off until then.
# Tasks of ours get the real ones.
STUBS = Path(__file__).parent / "import_stubs"
NICENESS = "0"
GCS_AWAY_SECONDS = "600"
"""How long a node and its replicas go on without the head. With Ray's own, 60, all end while a head is replaced."""
BEFORE = "${PYTHONPATH}"
REPLICA_PORTS = 50
FIRST_REPLICA_PORT = 20_000
REPLICA_PORT_RANGES = 200


def folder(home: Path) -> Path:
    """The short folder of Ray's and HAProxy's files and sockets (whose paths may have 107 bytes), ours alone."""
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    path = Path("/tmp") / f"ps-{digest}"  # noqa: S108  a private folder, checked below
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PenstockError(
            str(path), expected="a folder of this user alone", found="another one", todo="Remove it, then start again."
        )
    return path


def ray_environment(settings: Settings, switches: Mapping[str, str]) -> dict[str, str]:
    """The environment of Ray's head, and so of every replica and of HAProxy. It holds secrets: it is never stored."""
    # No process of the service talks to Dagster: its storage is not looked for.
    resolved = Databases(settings).resolve(("test_url", "prod_url"))
    return dict(os.environ) | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": python_path(settings.home, settings.project or find_or_none()),
        "PYTHONUNBUFFERED": "1",
        **resolved.variables(),
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "2097152",
        "MALLOC_TRIM_THRESHOLD_": "8388608",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "disabled"),
        **switches,
    }


def code_environment(home: Path, copy: Path) -> dict[str, str]:
    """The variables by which a process takes the project's code from a copy of it, and what that lacks from where it
    did before (`${PYTHONPATH}`, which Ray expands in each replica)."""
    place = _plain(home, f"code-{copy.parent.name}", copy)
    return {PROJECT: place, "PYTHONPATH": os.pathsep.join((_stubs(home), place, BEFORE))}


def python_path(home: Path, project: Project | None) -> str:
    """PYTHONPATH of Ray's processes: the stand-ins of packages, the project, and what it was before."""
    place = _plain(home, "project", project.root) if project else ""
    entries = (_stubs(home), place, os.environ.get("PYTHONPATH", ""))
    return os.pathsep.join(filter(None, entries))


def _stubs(home: Path) -> str:
    return _plain(home, STUBS.name, STUBS)


def _plain(home: Path, name: str, path: Path) -> str:
    """A path, or a link to it where it holds what PYTHONPATH or Ray's expansion of variables would take otherwise."""
    if not {os.pathsep, "$"} & set(str(path)):
        return str(path)
    link = folder(home) / name
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return str(link)


def ray_switches(home: Path, https: haproxy.Https | None = None, entry: haproxy.Entry | None = None) -> dict[str, str]:
    """Ray's own variables, with ports that are free now; writes the HAProxy starter. No secrets."""
    place = folder(home) / "ha"
    place.mkdir(mode=0o700, exist_ok=True)
    starter = place / "haproxy"
    metrics_port, stats_port = free_port(), free_port()
    text = haproxy.starter(place, metrics_port=metrics_port, stats_port=stats_port, entry=entry, https=https)
    starter.write_text(text)
    starter.chmod(0o700)
    first = FIRST_REPLICA_PORT + REPLICA_PORTS * (int(folder(home).name[-6:], 16) % REPLICA_PORT_RANGES)
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray turns 127.0.0.1 into the machine's outer address
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_enable_worker_prestart": "0",
        "RAY_prestart_worker_first_driver": "0",
        "RAY_idle_worker_killing_time_threshold_ms": "1000",
        "RAY_num_workers_soft_limit": "0",
        "RAY_enable_metrics_collection": "0",
        # With Ray's own, 15, replicas and HAProxy come after all else that wants the machine's CPU.
        "RAY_worker_niceness": NICENESS,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "penstock.serving.on_ray.bypass:middlewares",
        "RAY_SERVE_CONTROLLER_CALLBACK_IMPORT_PATH": "penstock.serving.on_ray.controller:keep_ingress",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(starter),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(place / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(place / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(place),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(place / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(place / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "30",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # the third check that fails replaces a killed HAProxy
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(haproxy.LARGEST_REPEATED),
        "RAY_SERVE_HAPROXY_MAXCONN": str(haproxy.most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        # A killed replica has the fewest connections, so HAProxy tries it again: the one that broke off, three refused,
        # after which it is given up, then another replica's.
        "RAY_SERVE_HAPROXY_RETRIES": "5",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_RISE": "1",
        # A replica that is to end says so to its checks at once and answers for 30 s more: it is given up only when
        # HAProxy has surely learned of its successor. One that was killed is given up at the third refused connection.
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FALL": "12",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FASTINTER": "1s",
        # To a node that is cut off: the third that fails gives its replica up.
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "120",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "30",  # else who asks a replica that hangs waits for ever
        "RAY_gcs_rpc_server_reconnect_timeout_s": GCS_AWAY_SECONDS,
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + REPLICA_PORTS - 1),
    }
