"""A code location that does not load is said at once, and `up` goes on when the code is mended."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.cli.system import dagster_system
from penstock.postgres import urls as postgres
from penstock.processes import free_port
from penstock.project import containing
from penstock.settings import Settings
from tests.checkout import ROOT
from tests.engine.projects import write_project

MENDED = """import dagster as dg

defs = dg.Definitions(executor=dg.in_process_executor)
"""


@pytest.fixture
def settings(stack: None, tmp_path: Path) -> Iterator[Settings]:
    workspace = (ROOT / "workspace.yaml").read_text().replace("location_name: flights", "location_name: shop")
    files = {"assets/definitions.py": "raise ValueError('the river is dry')\n", "workspace.yaml": workspace}
    root = write_project(tmp_path / "shop", files, declared='name = "shop"')
    shutil.copy(ROOT / "dagster.yaml", root)
    made = Settings(home=root / ".penstock", dagster_port=free_port(), project=containing(root))
    yield made
    dagster_system.stop(made)
    postgres.server(made).remove()


def test_a_location_that_does_not_load_is_said_at_once_and_read_again_by_the_next_up(settings: Settings) -> None:
    target = ("assets.definitions",)
    began = time.monotonic()
    with pytest.raises(
        dagster_system.StartError, match=r"code location 'shop': expected to load, found .*river is dry"
    ):
        dagster_system.start(settings, target)
    assert time.monotonic() - began < dagster_system.START_SECONDS - 10
    with pytest.raises(dagster_system.StartError, match="river is dry"):
        dagster_system.start(settings, target)
    assert settings.project is not None
    (settings.project.root / "assets" / "definitions.py").write_text(MENDED)
    assert dagster_system.start(settings, target), "it is not called running while its code did not load"
    assert dagster_system.graphql(settings).load_error() is None
