"""One request can be read from the router down: it goes through few files."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

MOST_FILES = 24
ENGINE = Path(penstock.__file__).parent
ELSEWHERE = {"serving/models/watcher.py", "postgres/pointer.py", "settings.py"}
"""The watcher, which works beside requests, and the clock."""


class Trace:
    """The files of the engine whose functions run in other threads while it is on."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._on = False

    def __call__(self, frame: Any, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if self._on and event == "call" and path.startswith(str(ENGINE)):
            self.files.add(str(Path(path).relative_to(ENGINE)))

    def of(self, ask: Callable[[], Any]) -> set[str]:
        """The files of what is asked."""
        self.files = set()
        self._on = True
        ask()
        self._on = False
        return self.files - ELSEWHERE


@pytest.fixture
def trace() -> Iterator[Trace]:
    made = Trace()
    threading.setprofile(made)
    yield made
    threading.setprofile(None)


def test_a_request_goes_through_few_files(trace: Trace, start: Start, service: Service) -> None:
    """The ways to an answer: new with tables in memory, again, and refused. The files of the SQL of the lookup and of
    the model's features, which is the project's, are read as well."""
    traced = start()
    traced.wait_for_tables()
    assert traced.ask().status_code == 200  # the lane connects
    new = trace.of(lambda: traced.ask(inflow=1.0))
    again = trace.of(lambda: traced.ask(inflow=1.0))
    refused = trace.of(lambda: traced.ask(valve="x"))
    assert {"serving/routes/routes.py", "serving/answering/predictor.py", "journal/writing.py"} <= new
    assert "lookups/statement.py" in again
    assert "serving/http/problems.py" in refused
    walked = new | again | refused | {"lookups/sql.py", Path(toy.__file__).name}
    assert len(walked) <= MOST_FILES, sorted(walked)
