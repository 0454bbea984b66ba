"""A release beside the running service: what will happen is said before it is made."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from penstock.cli.served import Comparison, compare
from penstock.client import Client
from penstock.processes import free_port
from penstock.serving.deploying.code_copy import Code
from penstock.serving.deploying.history import Deploy, History
from penstock.settings import Settings
from penstock.testing import wait_for
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

OTHER = "f" * 64


def beside(service: Service) -> Settings:
    """The settings of a command beside the service."""
    port = urlsplit(str(service.http.base_url)).port
    assert port is not None
    return msgspec.structs.replace(service.settings, http_port=port)


def compared(settings: Settings, model: str, contract: str, what: str = "the release") -> Comparison:
    return compare(settings.service_url, History(settings.home), model, contract, what)


def test_a_release_of_the_same_code_is_served_at_once(service: Service) -> None:
    found = compared(beside(service), "overflow", toy.CONTRACT.digest(), "release 2")
    assert found.at_once
    assert found.sentence == "The running service has this code of overflow, and serves release 2 at once."
    assert found.current("overflow", 2, " (release)") == "PROD serves release 2 of overflow (release)."


def test_a_release_of_other_code_waits_and_what_brings_it_is_said(service: Service) -> None:
    settings = beside(service)
    found = compared(settings, "overflow", OTHER)
    assert found.at_once is False
    assert f"contract {toy.CONTRACT.digest()[:12]}, not ffffffffffff" in found.sentence
    assert "it goes on with release 1" in found.sentence
    assert "`penstock deploy`" in found.sentence
    assert "does not serve it yet" in found.current("overflow", 2, "")
    history = History(settings.home)
    history.place.mkdir(parents=True)
    for number, contract in ((1, OTHER), (2, toy.CONTRACT.digest())):
        code = Code(str(number), "", str(settings.home / "deploys" / str(number) / "project"))
        history.add(Deploy(number, datetime.now(UTC), code, "", {"overflow": contract}, "head"))
    assert "`penstock deploy --back` deploys it: that of deploy 1." in compared(settings, "overflow", OTHER).sentence


def test_a_model_that_the_running_service_does_not_know_needs_a_deploy(service: Service) -> None:
    found = compared(beside(service), "another", OTHER)
    assert found.at_once is False
    assert found.sentence == "The running service has no code of another yet: `penstock deploy` brings it."


def test_where_the_service_cannot_be_asked_that_is_said(start: Start, service: Service, tmp_path: Path) -> None:
    away = compare(f"http://127.0.0.1:{free_port()}", History(tmp_path), "overflow", OTHER)
    assert away.at_once is None
    assert "No service answers at" in away.sentence
    keys = tmp_path / "keys"
    keys.write_text(f"{OTHER} nobody\n")
    locked = compared(beside(start(api_keys_file=str(keys))), "overflow", OTHER)
    assert locked.at_once is None
    assert "Set PENSTOCK_API_KEY." in locked.sentence


def test_a_client_is_told_what_is_served_instead_of_the_current_release(service: Service) -> None:
    with Client(str(service.http.base_url), "overflow") as client:
        assert (client.state().release, client.refused()) == (1, {})
        service.release(2, contract=msgspec.structs.replace(toy.CONTRACT, entity=("tank",)))
        found = wait_for(client.refused)["overflow"]
    assert (found.release, found.serves) == (2, 1)
