"""Two nodes in network namespaces, made by the commands of docs/production.md as printed there, serve the project."""

import hashlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec
import pytest
from ray._private.authentication_test_utils import reset_auth_token_state

from benchmarks.chaos.nodes import Node, hindrance, nodes
from benchmarks.chaos.open_postgres import opened
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.rendering.kubernetes import layout
from penstock.rendering.node import METRICS_PORT
from penstock.serving.on_ray.environment import REPLICA_PORTS
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.testing import Story, wait_for
from penstock.training.candidate import Candidate
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew
from tests.checkout import PROJECT, ROOT
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import rows_of

PAGE = (ROOT / "docs" / "production.md").read_text()
SECTION = PAGE.split("## A Ray cluster without Kubernetes")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
HEAD, WORKER, DEPLOY, PLAIN = (
    next(block for block in BLOCKS if part in block)
    for part in ("ray start --head", "ray start --address", "penstock deploy --ray", "serve deploy")
)
KEY = "a key"


@dataclass(frozen=True)
class TwoNodes:
    """The nodes, and the variables that the page tells each to have."""

    nodes: tuple[Node, ...]
    variables: dict[str, str]
    settings: Settings

    def run(self, node: Node, block: str) -> None:
        """A block of the page on a node."""
        own = {"NODE": node.address, "PENSTOCK_HOME": str(node.folder / "home")}
        node.run(["sh", "-ec", block], self.variables | own, 120)

    def operate(self, block: str, folder: Path) -> str:
        """A block of the page on the machine of whoever operates the cluster."""
        own = {"PENSTOCK_HOME": str(folder / "operator"), "PENSTOCK_PROJECT": str(PROJECT.root)}
        command, variables = ["sh", "-ec", block], self.variables | own
        done = subprocess.run(
            command, check=False, env=variables, cwd=folder, capture_output=True, text=True, timeout=150
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, node: Node, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://{node.address}:8000{path}", headers=headers, timeout=10)


@pytest.fixture(scope="class")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables by which Ray demands a token, which this process has too, as the operator's machine.

    Ray keeps in a process what it has read of both.
    """
    file = tmp_path_factory.mktemp("ray") / "ray-token"
    file.write_text(secrets.token_hex(32))
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
    with pytest.MonkeyPatch.context() as patch:
        for name, text in variables.items():
            patch.setenv(name, text)
        reset_auth_token_state()
        yield variables
    reset_auth_token_state()


@pytest.fixture(scope="class")
def made(stack: None, token: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    if reason := hindrance():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cluster")
    settings = Databases(Settings(home=folder / "books", project=PROJECT)).resolve()
    for book in Databases(settings).books():
        book.migrate()
    keys = folder / "api-keys"
    keys.write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} a test\n")
    try:
        with nodes(3, folder) as cluster, opened(settings, cluster.nodes[-1], cluster.network) as books:
            reached = books.settings
            plain = {name: text for name, text in os.environ.items() if not name.startswith(("PENSTOCK_", "RAY_"))}
            variables = {
                **plain,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HEAD": cluster.nodes[0].address,
                "PENSTOCK_PROD_URL": reached.prod_url,
                "PENSTOCK_TEST_URL": reached.test_url,
                "PENSTOCK_ARTIFACTS_URL": str(folder / "artifacts"),
                "PENSTOCK_API_KEYS_FILE": str(keys),
                **token,
            }
            yield TwoNodes(cluster.nodes[:2], variables, reached)
    finally:
        Databases(settings).stop()


PATHS = ("/state", "/models", "/-/routes", "/%2d/routes", "/metrics", "/api/jobs/", "/logs")
LISTENS = re.compile(r'^LISTEN +\d+ +\d+ +(\S+):(\d+) .*users:\(\("([^"]+)"', re.M)


def exposed(node: Node, environment: dict[str, str]) -> dict[str, set[int]]:
    """Program -> the ports on which it listens on a node beyond loopback."""
    found: dict[str, set[int]] = {}
    for host, port, program in LISTENS.findall(node.run(["ss", "-ltnpH"], environment)):
        if not host.startswith(("127.", "[::1]", "[::ffff:127.")):
            found.setdefault(program, set()).add(int(port))
    return found


def answered(node: Node, port: int, path: str) -> tuple[int, bool] | None:
    """The status with which a port answers somebody without a key, and whether it is with metrics; None where it is no
    HTTP."""
    try:
        answer = httpx.get(f"http://{node.address}:{port}{path}", timeout=3)
    except httpx.HTTPError:
        return None
    return answer.status_code, "# TYPE " in answer.text


class TestNodes(Story):
    def test_two_nodes_come_up_by_the_page(self, made: TwoNodes) -> None:
        for node, block in zip(made.nodes, (HEAD, WORKER), strict=True):
            made.run(node, block)
            assert node.named("raylet/raylet")

    def test_deploy_brings_the_code_and_every_node_answers_who_has_a_key(self, made: TwoNodes, tmp_path: Path) -> None:
        assert "serves code" in made.operate(DEPLOY, tmp_path)
        assert not (tmp_path / "operator" / "postgres").exists(), "a deploy elsewhere starts nothing here"
        assert len(made.nodes) == 2
        for node in made.nodes:
            assert made.ask(node, "/state").status_code == 401, "a replica that is reached from elsewhere demands a key"
            assert wait_for(lambda node=node: made.ask(node, "/state", **{"x-api-key": KEY}).status_code == 200, 20)  # type: ignore[misc]
            assert node.named("entry_keeper.py"), "HAProxy is started by ours"
        replicas = [process for node in made.nodes for process in node.named("ServeReplica")]
        assert len(replicas) == 2
        for replica in replicas:
            assert "working_dir_files" in replica.environ()["PYTHONPATH"], "the code is what was uploaded"
            assert "pandas" not in Path(f"/proc/{replica.pid}/maps").read_text(), "the stand-ins of packages are used"

    def test_from_elsewhere_a_node_says_nothing_but_metrics_to_who_has_no_key_and_no_token(
        self, made: TwoNodes
    ) -> None:
        """Ray chooses some ports of its metrics itself; the page says to keep all but two closed to others."""
        assert len(made.nodes) == 2
        for node in made.nodes:
            found = exposed(node, made.variables)
            assert found["haproxy"] == {layout.HTTP, METRICS_PORT}
            assert found["ray::ServeRepli"] & set(range(layout.REPLICA, layout.REPLICA + REPLICA_PORTS))
            ports = {port for ports in found.values() for port in ports}
            answers = {
                (port, path): answer for port in ports for path in PATHS if (answer := answered(node, port, path))
            }
            assert {answers.get((port, "/state")) for port in (layout.HTTP, layout.AGENT)} == {(401, False)}
            said = {place: metrics for place, (status, metrics) in answers.items() if status == 200}
            assert said[METRICS_PORT, "/metrics"]
            assert {place for place, metrics in said.items() if not metrics} == set()

    def test_rays_own_doors_open_to_the_token_alone(self, made: TwoNodes) -> None:
        head, worker = made.nodes
        jobs = f"http://{head.address}:{layout.DASHBOARD}/api/jobs/"
        token = Path(made.variables["RAY_AUTH_TOKEN_PATH"]).read_text()
        assert httpx.get(jobs).status_code == 401
        assert httpx.get(jobs, headers={"authorization": f"Bearer {token}"}).status_code == 200
        command = ["ray", "status", f"--address={head.address}:{layout.GCS}"]
        assert "Active" in worker.run(command, made.variables)
        with pytest.raises(RuntimeError, match=r"(?i)authenticat"):
            worker.run(command, made.variables | {"RAY_AUTH_MODE": "disabled"})

    def test_the_rendered_file_is_deployed_by_rays_own_command(self, made: TwoNodes, tmp_path: Path) -> None:
        before = {process.pid for node in made.nodes for process in node.named("ServeReplica")}
        made.operate(PLAIN, tmp_path)

        def replaced() -> bool:
            now = {process.pid for node in made.nodes for process in node.named("ServeReplica")}
            return bool(now - before)

        assert wait_for(replaced, 60)
        assert len(made.nodes) == 2
        for node in made.nodes:
            assert made.ask(node, "/state", **{"x-api-key": KEY}).status_code == 200

    def test_a_machine_that_is_no_node_trains_by_a_job_of_the_cluster(self, made: TwoNodes) -> None:
        here = made.settings
        there = msgspec.structs.replace(here, ray_address=f"http://{made.nodes[0].address}:8265")
        february, march = (rows_of(here, month) for month in ("2026-02", "2026-03"))
        test, said = Book("test", here.test_url), list[str]()

        def train(settings: Settings, holdout: Snapshot) -> Candidate:
            module = "tests.engine.training.tank_declarations"
            run = TrainingRun(settings, declared().model("overflow"), "2026-03", declared_in=module)
            return run.train(february, holdout, Skew(0, {}, {}), test, said.append)

        expected = train(here, march)
        said.clear()
        assert train(there, march) == expected
        assert said[0].startswith("on Ray, process ")
        assert any("fitting" in step for step in said)
        gone = replace(march, manifest=msgspec.structs.replace(march.manifest, id="f" * 64))
        with pytest.raises(PenstockError, match=f"snapshot {'f' * 12}: expected one in"):
            train(there, gone)
