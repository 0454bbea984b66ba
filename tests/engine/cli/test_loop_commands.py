"""The data scientist's commands, with no Dagster process running."""

import json
from typing import Any

import dagster as dg
import msgspec
import pytest
from click.testing import CliRunner, Result

from model_tools.flight_delay import FlightDelayRequest
from penstock.cli.commands import releases, requests, rollback, train
from penstock.errors import PenstockError
from penstock.releases.ledger import current, ledger
from penstock.training.gate import GateError
from tests.example import MONTH, Example

MODEL = "flight_delay"


def run(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, [MODEL, *arguments])


def test_requests_are_different_valid_and_soonest_first(example: Example) -> None:
    lines = run(requests.command, "--count", "300").stdout.splitlines()

    asked = [msgspec.json.decode(line, type=FlightDelayRequest) for line in lines]
    assert len(set(lines)) == 300
    assert [request.asked_at for request in asked] == [None] * 300
    assert asked[0].scheduled_departure < asked[-1].scheduled_departure


def test_training_the_same_month_again_gives_the_same_artifact_and_keeps_the_release(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    before = current(example.prod, MODEL)
    assert before is not None

    done = run(train.command, "--period", MONTH, "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    trained = json.loads(done.stdout)

    assert trained["artifact"] == before.artifact
    assert current(example.prod, MODEL) == before


def test_a_refused_month_leaves_both_books_and_names_both_figures(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    before = current(example.test, MODEL), current(example.prod, MODEL)

    refused = run(train.command, "--period", "2026-08")

    assert isinstance(refused.exception, GateError)
    assert "older than 2026-10" in str(refused.exception)
    assert (current(example.test, MODEL), current(example.prod, MODEL)) == before


@pytest.mark.parametrize("option", ["--override", "--incomplete"])
def test_an_override_without_a_reason_is_refused(option: str, example: Example) -> None:
    assert f"{option} needs --why" in run(train.command, option).stderr


@pytest.mark.parametrize("option", ["--period", "--month"])
def test_a_running_period_is_refused_at_once_and_one_of_another_cadence_too(option: str, example: Example) -> None:
    running = run(train.command, option, "2026-11").exception
    assert isinstance(running, PenstockError)
    assert "found one whose outcomes are known on 2026-12-01 00:00 UTC. Train 2026-10" in str(running)
    week = run(train.command, option, "2026-W45").exception
    assert isinstance(week, PenstockError)
    assert "period of model 'flight_delay': expected a month, such as 2026-10, found '2026-W45'" in str(week)
    assert "--month" not in run(train.command, "--help").stdout


def test_a_month_is_released_by_override_and_rolled_back_in_both_books(
    materialized: dg.ExecuteInProcessResult, example: Example
) -> None:
    before = current(example.prod, MODEL)
    assert before is not None

    forced = json.loads(run(train.command, "--period", "2026-09", "--override", "--why", "drill", "--json").stdout)
    back = json.loads(run(rollback.command, "--why", "drill over", "--json").stdout)

    assert forced["action"] == "override"
    assert {entry["artifact"] for entry in back.values()} == {before.artifact}
    assert [entry.action for entry in ledger(example.prod, MODEL)][:2] == ["rollback", "override"]
    printed = run(releases.command).stdout
    assert "drill over" in printed
    assert "▶" in printed


@pytest.mark.parametrize("command", [train.command, releases.command, rollback.command, requests.command])
def test_an_unknown_model_is_refused_with_those_that_exist(command: Any, example: Example) -> None:
    more = ["--why", "x"] if command is rollback.command else []

    assert "expected one of flight_delay" in str(CliRunner().invoke(command, ["nothing", *more]).exception)
