"""A code location that does not load, or that was changed: the next `up` says it or reads it again."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from penstock.cli.system import dagster_system
from penstock.cli.system.dagster_system import DagsterSystem
from penstock.postgres.databases import Databases
from penstock.processes import Processes, free_port
from penstock.project import containing
from penstock.settings import Settings
from tests.checkout import ROOT
from tests.engine.projects import write_project

MENDED = """import dagster as dg

defs = dg.Definitions(executor=dg.in_process_executor)
"""
LATER = """import time

import dagster as dg

@dg.op
def long() -> None:
    time.sleep(600)

@dg.job
def added() -> None:
    long()

defs = dg.Definitions(jobs=[added], executor=dg.in_process_executor)
"""


@pytest.fixture
def settings(stack: None, tmp_path: Path) -> Iterator[Settings]:
    workspace = (ROOT / "workspace.yaml").read_text().replace("location_name: flights", "location_name: shop")
    files = {"assets/definitions.py": "raise ValueError('the river is dry')\n", "workspace.yaml": workspace}
    root = write_project(tmp_path / "shop", files, declared='name = "shop"')
    shutil.copy(ROOT / "dagster.yaml", root)
    made = Settings(home=root / ".penstock", dagster_port=free_port(), project=containing(root))
    yield made
    DagsterSystem(made).stop()
    Databases(made).server().remove()


def test_what_an_interrupted_up_has_started_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.project is not None
    (settings.project.root / "assets" / "definitions.py").write_text(f"import time\n\ntime.sleep(5)\n{MENDED}")
    system = DagsterSystem(settings, ("assets.definitions",))

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(system, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            system.start()
    assert system.start() == ""
    assert system.graphql.load_error() is None
    assert system.graphql.daemon_healthy()


def test_a_location_that_does_not_load_is_said_at_once_and_read_again_by_the_next_up(settings: Settings) -> None:
    target = ("assets.definitions",)
    assert not DagsterSystem(settings).read_again()
    assert not Databases(settings).is_running(), "where Dagster does not run, nothing is started to look"
    began = time.monotonic()
    said = r"code location 'shop': expected to load, found .*river is dry.*Its log is (.*)\."
    with pytest.raises(dagster_system.StartError, match=said) as refused:
        DagsterSystem(settings, target).start()
    log = re.search(said, str(refused.value))
    assert log is not None
    assert "river is dry" in Path(log[1]).read_text()
    assert time.monotonic() - began < dagster_system.START_SECONDS - 10
    with pytest.raises(dagster_system.StartError, match="river is dry"):
        DagsterSystem(settings, target).start()
    assert settings.project is not None
    (settings.project.root / "assets" / "definitions.py").write_text(MENDED)
    assert DagsterSystem(settings, target).start() == "started", "it is not called running while its code did not load"
    api = DagsterSystem(settings).graphql
    assert api.load_error() is None
    assert DagsterSystem(settings, target).start() == ""
    assert not DagsterSystem(settings).read_again()

    (settings.project.root / "assets" / "definitions.py").write_text(LATER)
    processes = Processes(settings.state).all()
    assert DagsterSystem(settings, target).start() == "read again"
    assert Processes(settings.state).all() == processes
    assert api.partitions("added") == []

    run = api.launch("added")
    changed = msgspec.structs.replace(settings, http_port=free_port())
    with pytest.raises(dagster_system.StartError, match=f"found 1 at http.*{settings.dagster_port}/runs"):
        DagsterSystem(changed, target).start()
    assert Processes(settings.state).all() == processes, "a run is never ended by a change of settings"
    api.ask("mutation($run: String!) { terminateRun(runId: $run) { __typename } }", run=run)
    end = time.monotonic() + 60
    while api.under_way():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert DagsterSystem(changed, target).start() == "started"
    assert {part.pid for part in Processes(settings.state).all()}.isdisjoint(part.pid for part in processes)


def test_what_starts_slowly_is_said_to_go_on() -> None:
    said = str(dagster_system.late(dagster_system.CODE, None))
    assert re.fullmatch(
        r"dagster-code: expected ready within 120 s, found it still starts, on \d+ cores at a load of \d+\."
        r" Run `penstock up` again: what has started goes on\.",
        said,
    )
