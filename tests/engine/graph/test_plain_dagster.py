"""dagster.yaml and workspace.yaml under plain dagster-webserver, dagster-daemon and a code server, as in containers."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from penstock.cli.system.compat import dagster_daemon
from penstock.cli.system.dagster_graphql import GraphQL
from penstock.cli.system.dagster_runs import follow
from penstock.cli.system.environment import dagster_home
from penstock.errors import PenstockError
from penstock.graph.executor import executor
from penstock.processes import end_tree, free_port
from penstock.project import containing
from tests.checkout import ROOT
from tests.engine.projects import write_project

DEFINITIONS = """import dagster as dg
from penstock.graph.executor import executor


@dg.op
def say(context):
    context.log.info("said")


@dg.job
def where():
    say()


defs = dg.Definitions(jobs=[where], executor=executor())
"""
SECONDS = 120
HOST = "127.0.0.2"  # reached by what the variable says, and by no default


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the shipped files, and nothing of `penstock up`."""
    workspace = (ROOT / "workspace.yaml").read_text().replace("location_name: flights", "location_name: shop")
    files = {"assets/definitions.py": DEFINITIONS, "workspace.yaml": workspace}
    made = write_project(tmp_path / "shop", files, declared='name = "shop"')
    shutil.copy(ROOT / "dagster.yaml", made)
    return made


@pytest.fixture
def api(
    stack: None, root: Path, tmp_path: Path, new_database: Callable[[], str], request: pytest.FixtureRequest
) -> Iterator[GraphQL]:
    """Three plain processes in an environment that an operator wrote; DAGSTER_HOME is the project's own folder."""
    web, code = free_port(), free_port()
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    scheme = request.param
    environment = kept | {
        "PENSTOCK_HOME": str(tmp_path / "home"),
        "PENSTOCK_DAGSTER_URL": new_database().replace("postgresql://", f"{scheme}://"),
        "PENSTOCK_CODE_HOST": HOST,
        "PENSTOCK_CODE_PORT": str(code),
        "PENSTOCK_EXECUTOR": "multiprocess",
        "DAGSTER_HOME": str(root),
    }
    python = [sys.executable, "-m"]
    commands = [
        [*python, "penstock.graph.code_server", "-h", HOST, "-p", str(code), "-m", "penstock.graph.code_location",
         "-a", "definitions", "-d", "."],
        [*python, "dagster_webserver", "-h", "127.0.0.1", "-p", str(web), "-w", "workspace.yaml"],
        [*dagster_daemon(), "run", "-w", "workspace.yaml"],
    ]  # fmt: skip
    log = (tmp_path / "log").open("wb")
    running = [
        subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
        for command in commands
    ]
    try:
        found = GraphQL(f"http://127.0.0.1:{web}", "shop")
        wait(lambda: ready(found) or not all(one.poll() is None for one in running), tmp_path / "log")
        assert ready(found), (tmp_path / "log").read_text()[-3000:]
        yield found
    finally:
        for process in running:
            end_tree(psutil.Process(process.pid), grace=5)
        log.close()


def ready(api: GraphQL) -> bool:
    return api.answers() and api.load_error() is None and api.daemon_healthy()


def wait(ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.2)


@pytest.mark.parametrize("api", ["postgresql", "postgresql+asyncpg"], indirect=True)
def test_a_run_succeeds_with_hosts_and_urls_from_the_environment_alone(api: GraphQL, root: Path) -> None:
    before = {path.name for path in root.iterdir()}
    follow(api, api.launch("where"), lambda *_: None)
    new = {path.name for path in root.iterdir()} - before
    assert new <= {"__pycache__"}, "DAGSTER_HOME may be read-only"


def test_an_own_dagster_yaml_stays_as_it_is(root: Path, tmp_path: Path) -> None:
    link = dagster_home(tmp_path / "home", containing(root)) / "dagster.yaml"
    assert link.readlink() == root / "dagster.yaml"
    link.unlink()
    link.write_text("telemetry: {enabled: false}\n")
    assert dagster_home(tmp_path / "home", containing(root)) == link.parent
    assert link.read_text() == "telemetry: {enabled: false}\n"


def test_an_executor_of_no_kind_is_refused_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert executor() is dg.in_process_executor
    monkeypatch.setenv("PENSTOCK_EXECUTOR", "k8s")
    assert executor().name == "k8s"
    monkeypatch.setenv("PENSTOCK_EXECUTOR", "threads")
    with pytest.raises(PenstockError, match="in_process, multiprocess or k8s, found 'threads'"):
        executor()
