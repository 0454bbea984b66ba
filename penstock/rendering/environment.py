"""The environment variables of nodes and replicas, as the local head has them, without what belongs to one machine."""

import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from penstock.serving.on_ray.environment import REPLICA_PORTS, folder, ray_environment, ray_switches
from penstock.settings import VARIABLES, Settings

FIRST_REPLICA_PORT = 20_000
"""Of every node alike: nothing else runs in its container."""
SECRETS = (
    "PENSTOCK_TEST_URL",
    "PENSTOCK_PROD_URL",
    "PENSTOCK_DAGSTER_URL",
    "PENSTOCK_WAREHOUSE_URL",
)
"""Variables that may hold a password: they are named, and never printed."""
OF_ONE_MACHINE = re.compile(
    r"PENSTOCK_HOME|PENSTOCK_PROJECT|PENSTOCK_DAGSTER_PORT|PENSTOCK_NOW|PENSTOCK_RAY_ADDRESS"
    r"|RAY_AUTH_MODE"  # a cluster's own affair
    r"|RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # it keeps other nodes from joining
    r"|RAY_enable_metrics_collection"  # a cluster is watched
    r"|RAY_SERVE_HAPROXY_METRICS_ENABLED"
    r"|RAY_SERVE_HAPROXY_MAXCONN"  # of this machine's limit of open files
    r"|RAY_SERVE_\w+_(BINARY_PATH|FILE_LOC|SOCKET_PATH|STATE_BASE|STATE_FILE|METRICS_SOCKET_PATH|PORT)"
)
PORTABLE = re.compile(r"PENSTOCK_\w+|RAY_\w+|MALLOC_\w+|OMP_NUM_THREADS|OPENBLAS_NUM_THREADS|PYTHONUNBUFFERED")


def node_environment(settings: Settings) -> dict[str, str]:
    """Variable -> text for every node of a cluster, its replicas included. It holds no secret, see `SECRETS`."""
    with tempfile.TemporaryDirectory() as home:
        # What the local head is started with, of a home that nothing runs in: a running head keeps its own files.
        nowhere = dict.fromkeys(("test_url", "prod_url", "dagster_url"), "postgresql://")
        scratch = msgspec.structs.replace(settings, home=Path(home), ray_address="", **nowhere)
        try:
            whole = ray_environment(scratch, ray_switches(scratch.home))
        finally:
            shutil.rmtree(folder(scratch.home), ignore_errors=True)
    own = settings.variables()
    known = {one.name for one in VARIABLES if one.field} - set(SECRETS)
    found = {name: text for name, text in whole.items() if PORTABLE.fullmatch(name)}
    found = {
        name: text for name, text in found.items() if not name.startswith("PENSTOCK_") or name in known & own.keys()
    }
    return {
        **{name: text for name, text in sorted(found.items()) if not OF_ONE_MACHINE.fullmatch(name)},
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(FIRST_REPLICA_PORT),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(FIRST_REPLICA_PORT + REPLICA_PORTS - 1),
    }
