"""The request log says who was answered how, and never what."""

import json
import logging

import pytest

from penstock.serving.routes import telemetry
from tests.engine.serving.conftest import Service


def test_a_logged_line_is_json_without_the_payload(
    shared: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "LOGGED_SHARE", 1.0)
    monkeypatch.setattr(telemetry.log, "propagate", True)
    with caplog.at_level(logging.INFO, logger=telemetry.log.name):
        answer = shared.ask(note="secret", inflow=123.5)
    (line,) = [json.loads(record.message) for record in caplog.records if record.name == telemetry.log.name]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/models/overflow/predict", 200)
    assert line["bytes"] == len(answer.content)
    assert line["ms"] > 0
    assert "secret" not in str(line)
    assert "123.5" not in str(line)


def test_few_of_the_answered_are_logged(
    shared: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "LOGGED_SHARE", 0.0)
    monkeypatch.setattr(telemetry.log, "propagate", True)
    with caplog.at_level(logging.INFO, logger=telemetry.log.name):
        assert shared.ask().status_code == 200
    assert telemetry.log.name not in {record.name for record in caplog.records}
