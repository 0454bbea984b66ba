"""Two projects as two code locations of one Dagster: each is loaded, and each run works in its own."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.cli.system import dagster_runs, dagster_system
from penstock.cli.system.dagster_graphql import GraphQL
from penstock.cli.system.dagster_system import DagsterSystem
from penstock.cli.system.environment import child_environment
from penstock.postgres.databases import Databases
from penstock.processes import Processes, free_port
from penstock.project import containing
from penstock.settings import Settings
from tests.checkout import ROOT
from tests.engine.projects import write_project

DEFINITIONS = """import dagster as dg
from penstock.settings import load


@dg.op
def say():
    settings = load()
    (settings.home / "said.txt").write_text(settings.project.name)


@dg.job
def where():
    say()


defs = dg.Definitions(jobs=[where], executor=dg.in_process_executor)
"""
WORKSPACE = """load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {{env: PENSTOCK_CODE_PORT}}
      location_name: first
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: second
"""


def project(folder: Path, name: str, port: int) -> Settings:
    """The settings of a small project that has one job."""
    files = {"assets/definitions.py": DEFINITIONS, "workspace.yaml": WORKSPACE.format(port=port)}
    root = write_project(folder / name, files, declared=f'name = "{name}"')
    shutil.copy(ROOT / "dagster.yaml", root)
    return Settings(home=root / ".penstock", dagster_port=free_port(), project=containing(root))


@pytest.fixture(scope="module")
def both(stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Settings]]:
    """The Dagster of `first`, which has a code server of `second` as its other code location."""
    folder, port = tmp_path_factory.mktemp("projects"), free_port()
    first, second = (project(folder, name, port) for name in ("first", "second"))
    second_processes = Processes(second.state)
    try:
        for settings in (first, second):
            Databases(settings).server({"fsync": "off"}).start()
        # Its runs are kept where the Dagster that starts them keeps its own.
        storage = {"PENSTOCK_DAGSTER_URL": Databases(first).dagster_url()}
        module, attribute = dagster_system.DEFINITIONS
        command = [sys.executable, "-m", "dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(port)]
        second_processes.start(
            "code",
            [*command, "-m", module, "-a", attribute],
            log=second.home / "code.log",
            env=child_environment(second.demand_project(), second.home, Databases(second).variables()) | storage,
            cwd=folder,
        )
        assert DagsterSystem(first).start()
        yield first, second
    finally:
        second_processes.stop("code")
        DagsterSystem(first).stop()
        for settings in (first, second):
            Databases(settings).stop()


def test_a_run_of_each_location_works_in_its_own_project(both: tuple[Settings, Settings]) -> None:
    for settings in (both[0], both[1]):
        assert settings.project is not None
        api = GraphQL(DagsterSystem(both[0]).url, settings.project.name)
        assert api.load_error() is None
        dagster_runs.materialize(api, "where", lambda *_: None)
        assert (settings.home / "said.txt").read_text() == settings.project.name


def test_a_project_that_is_not_in_the_workspace_is_missed_by_its_name(both: tuple[Settings, Settings]) -> None:
    api = GraphQL(DagsterSystem(both[0]).url, "third")
    assert api.load_error() == "workspace.yaml has no code location 'third', which is the project's name"
