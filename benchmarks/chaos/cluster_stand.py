"""A whole service on a Ray cluster of nodes made for it: killed, cut off, drained and brought back node by node."""

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import yaml

from benchmarks import ROOT
from benchmarks.chaos.nodes import Node, nodes, pid_inside
from benchmarks.chaos.open_postgres import OpenPostgres, opened
from benchmarks.chaos.open_store import OpenStore, opened_store
from penstock.serving.deploying.deploy import Elsewhere, Rollout
from penstock.settings import Settings

KEY = "chaos"
HEADERS = {"x-api-key": KEY}
PATIENCE_SECONDS = 120.0
STARTS = 3
SHUT_DOWN = "GRPC client is shut down"
RAYS_OPTIONS = "--num-cpus=1 --object-store-memory=100000000 --disable-usage-stats"
SOURCED = '. "$(penstock render node)"'


@dataclass
class ClusterStand:
    """A running service of so many replicas, at most `per_node` on one; the first node is the head.

    Settings are those of the machine itself. The books' Postgres is on a node that has no Ray, and so
    is the store, where the artifacts are not in a folder. `spare` is a node on which nothing runs.
    """

    settings: Settings
    postgres: OpenPostgres
    store: OpenStore | None
    nodes: tuple[Node, ...]
    spare: Node
    folder: Path
    replicas: int
    per_node: int
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))

    @property
    def head(self) -> Node:
        """The node of Ray's head."""
        return self.nodes[0]

    @property
    def dashboard(self) -> str:
        """The URL of the head's dashboard."""
        return f"http://{self.head.address}:8265"

    @property
    def token(self) -> dict[str, str]:
        """The variables of whoever may talk to Ray: its token lies in a file."""
        file = self.folder / "ray-token"
        if not file.exists():
            file.write_text(secrets.token_hex(32))
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}

    def start(self, node: Node) -> None:
        """Start Ray on a node, as docs/production.md does it; anew where that fails, as a supervisor does."""
        if node is self.head:
            kept = f"RAY_gcs_storage=rocksdb RAY_gcs_storage_path={self.folder}/gcs"
            command = f"{kept} ray start --head --dashboard-host={node.address}"
        else:
            command = f"ray start --address={self.head.address}:6379"
        line = f"{SOURCED} && {command} --node-ip-address={node.address} {RAYS_OPTIONS}"
        for left in reversed(range(STARTS)):
            try:
                node.run(["sh", "-ec", line], self._environment(node), PATIENCE_SECONDS)
            except RuntimeError:  # `ray start` waits for its own raylet for 30 s, which a busy machine may exceed
                if not left:
                    raise
                node.kill()
            else:
                return

    def drain(self, node: Node, seconds: float) -> None:
        """Tell Ray that a node will go after so long, and wait until no replica is there."""
        said = (
            f"--reason DRAIN_NODE_REASON_PREEMPTION --reason-message chaos --deadline-remaining-seconds {seconds:.0f}"
        )
        command = f"{SOURCED} && ray drain-node --address={self.head.address}:6379 --node-id={self._id(node)} {said}"
        for left in reversed(range(STARTS)):
            try:
                node.run(["sh", "-ec", command], self._environment(node), PATIENCE_SECONDS)
                break
            except RuntimeError as error:  # Ray's head may not have reached a node that is back: docs/production.md
                if not left or SHUT_DOWN not in str(error):
                    raise
                print(f"{node.address}: {SHUT_DOWN}", file=sys.stderr)
                time.sleep(1)
        self._wait(lambda: not node.named("ServeReplica"), f"{node.address} empty")

    def deploy(self) -> None:
        """Deploy the example with a fixed number of replicas, so many on a node. With one, each has an HAProxy."""
        config = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
        made = config["applications"][0]["deployments"][0]
        made["autoscaling_config"] |= {"min_replicas": self.replicas, "max_replicas": self.replicas}
        made["max_replicas_per_node"] = self.per_node
        path = self.folder / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        self.rollout(self.settings).deploy(path)

    def rollout(self, settings: Settings) -> Rollout:
        """What deploys the project of these settings to it."""
        operator = msgspec.structs.replace(settings, home=self.folder / "operator")
        return Rollout(operator, Elsewhere(self.dashboard))

    def wait_for_replicas(self, count: int) -> float:
        """Wait until so many replicas answer, and no other runs; gives how long that took."""
        self.replicas = count
        return self.wait_until_whole()

    def wait_until_whole(self) -> float:
        """Wait until the HAProxies of the head and of each node with a replica reach all; returns how long it took."""
        began = time.monotonic()
        self._wait(self._whole, "the service whole")
        return time.monotonic() - began

    def _whole(self) -> bool:
        replicas = {node: node.named("ServeReplica") for node in self.nodes}
        entries = [node for node in self.nodes if node is self.head or replicas[node]]
        least = min(len(self.nodes), self.replicas) if self.per_node == 1 else 1
        if len(entries) < least or sum(map(len, replicas.values())) != self.replicas:
            return False
        known = {pid_inside(process) for found in replicas.values() for process in found}  # two nodes may have the same
        return all(self._reached(node) == known for node in entries)

    def _reached(self, node: Node) -> set[int]:
        """The replicas that answer through a node, by the pid that each has there."""
        found: set[int] = set()
        with suppress(httpx.HTTPError, ValueError, KeyError), httpx.Client(timeout=2, headers=self.headers) as client:
            for _ in range(6 * self.replicas):
                answer = client.get(f"http://{node.address}:8000/state", headers={"connection": "close"})
                found.add(answer.json()["replica"])
        return found

    def _id(self, node: Node) -> str:
        header = {"authorization": f"Bearer {Path(self.token['RAY_AUTH_TOKEN_PATH']).read_text()}"}
        answer = httpx.get(f"{self.dashboard}/api/v0/nodes", headers=header).json()
        found = [one for one in answer["data"]["result"]["result"] if one["node_ip"] == node.address]
        return next(str(one["node_id"]) for one in found if one["state"] == "ALIVE")

    def _environment(self, node: Node) -> dict[str, str]:
        others = ("PENSTOCK_", "RAY_", "TMPDIR")  # with TMPDIR, Ray would put all nodes' sockets into one folder
        plain = {name: text for name, text in os.environ.items() if not name.startswith(others)}
        return plain | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PENSTOCK_HOME": str(node.folder / "home"),
            **{name: os.environ[name] for name in ("PENSTOCK_NOW",) if name in os.environ},
            "PENSTOCK_PROD_URL": self.settings.prod_url,
            "PENSTOCK_TEST_URL": self.settings.test_url,
            "PENSTOCK_ARTIFACTS_URL": self.settings.artifacts,
            "PENSTOCK_API_KEYS_FILE": self.settings.api_keys_file,
            **self.token,
            **(self.store.environment if self.store else {}),
        }

    def _wait(self, holds: object, what: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():  # type: ignore[operator]
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not after {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.3)


@contextmanager
def cluster_stand(
    settings: Settings, folder: Path, *, count: int, replicas: int, per_node: int
) -> Iterator[ClusterStand]:
    """Start the service on so many nodes over the books of these settings, and end everything afterwards."""
    keys = folder / "api-keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    with ExitStack() as stack:
        network = stack.enter_context(nodes(count + 2, folder))
        *ray, spare, services = network.nodes
        books = stack.enter_context(opened(settings, services, network.network))
        store = stack.enter_context(opened_store(services, settings.artifacts, folder))
        reached = msgspec.structs.replace(
            books.settings, artifacts_url=store.url, http_port=8000, api_keys_file=str(keys)
        )
        made = ClusterStand(reached, books, store, tuple(ray), spare, folder, replicas, per_node)
        os.environ |= made.token  # for what deploys
        made.start(made.head)
        with ThreadPoolExecutor() as pool:
            list(pool.map(made.start, made.nodes[1:]))
        made.deploy()
        made.wait_until_whole()
        yield made
