"""`penstock predict` asks the real application through the typed client."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli.commands import predict
from penstock.errors import PenstockError
from penstock.processes import free_port
from tests.engine.serving.conftest import Service

ASKED = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}
Environment = dict[str, str]


@pytest.fixture
def environment(shared: Service, tmp_path: Path) -> Environment:
    return {"PENSTOCK_HOME": str(tmp_path), "PENSTOCK_HTTP_PORT": str(shared.http.base_url.port)}


def run(environment: Environment, text: str | bytes, *arguments: str) -> Result:
    return CliRunner().invoke(predict.command, ["overflow", "-", *arguments], input=text, env=environment)


def answers(result: Result) -> list[dict[str, Any]]:
    assert result.exception is None, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_request_prints_the_answer_of_the_service(environment: Environment, shared: Service) -> None:
    [answer] = answers(run(environment, json.dumps(ASKED, indent=2)))
    assert answer == shared.ask().json() | {"unchanged": answer["unchanged"]}
    assert answer["prediction"] in {"holds", "overflows"}


def test_an_array_and_one_request_a_line_are_answered_in_order(environment: Environment) -> None:
    many = [ASKED | {"valve": valve} for valve in (5, 60, 7)]  # there is no valve 60
    by_array = answers(run(environment, json.dumps(many), "--json"))
    by_line = answers(run(environment, "\n\n".join(map(json.dumps, many)) + "\n"))
    assert [answer["missing"] for answer in by_array] == [[], ["valve"], []]
    assert [answer["id"] for answer in by_line] == [answer["id"] for answer in by_array]
    assert len(answers(run(environment, json.dumps(many[:1])))) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (json.dumps(ASKED | {"valve": 100}), r"found 422 \$\.valve: expected a whole number from 0 to 99, found 100"),
        ('{"tank": "t7", "valve": 1e400}', r"found 422 \$\.valve: expected a whole number from 0 to 99, found 1e400"),
        ("{tank", "found 400 body: expected JSON"),
        ("", "found 400 body: expected a JSON object or an array of objects, found nothing"),
        (b"\xff", "found 400 body: expected JSON"),
    ],
)
def test_what_the_service_refuses_is_told_in_its_words(environment: Environment, text: str | bytes, found: str) -> None:
    refused = run(environment, text).exception
    assert isinstance(refused, PenstockError)
    assert refused.thing.endswith("/models/overflow/predict")
    with pytest.raises(PenstockError, match=found):
        raise refused


def test_a_number_reaches_the_service_as_it_stands_in_the_file(environment: Environment) -> None:
    refused = run(environment, '{"tank": "t7", "valve": 18446744073709551617}').exception
    assert isinstance(refused, PenstockError)
    assert refused.found == "422 $.valve: expected a whole number from 0 to 99, found 18446744073709551617"


def test_where_nothing_listens_the_command_says_so_at_once(environment: Environment) -> None:
    refused = run(environment | {"PENSTOCK_HTTP_PORT": str(free_port())}, json.dumps(ASKED)).exception
    assert isinstance(refused, PenstockError)
    assert "refused" in refused.found
    assert refused.todo == "Run `penstock up`."
