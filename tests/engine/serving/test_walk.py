"""One request can be read from the router down: it goes through few files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start
from tests.engine.walk import Trace

MOST_FILES, OF_AN_ANSWER = 25, 22
ELSEWHERE = {"testing/service.py", "serving/models/watcher.py", "postgres/pointer.py", "settings.py", "client.py"}
"""The watcher, which works beside requests, the clock, and the caller."""
WITHOUT_COMPILER = {"artifact/kernel_numpy.py", "artifact/program_numpy.py", "artifact/links_numpy.py"}


@pytest.fixture
def trace() -> Iterator[Trace]:
    with Trace() as made:
        yield made


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
    answered = (new | {Path(toy.__file__).name}) - ELSEWHERE - WITHOUT_COMPILER
    assert len(answered) <= OF_AN_ANSWER, " ".join(sorted(answered))
    walked = (answered | again | refused | {"lookups/sql.py"}) - ELSEWHERE - WITHOUT_COMPILER
    assert len(walked) <= MOST_FILES, sorted(walked)
