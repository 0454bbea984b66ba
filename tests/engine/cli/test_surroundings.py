"""`penstock doctor` about stores, Postgres, keys, clock and Ray: one sentence each, and what it could not try."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner

from penstock.cli import main
from penstock.cli.main import penstock
from penstock.cli.system import surroundings
from penstock.errors import PenstockError
from penstock.postgres import clock
from penstock.postgres.book import Book
from penstock.processes import free_port
from penstock.testing import System


def findings(*names: str) -> dict[str, dict[str, Any]]:
    """What doctor finds, by name; the last of each name."""
    found = {one["name"]: one for one in json.loads(CliRunner().invoke(penstock, ["doctor", "--json"]).output)}
    assert set(names) <= set(found)
    return found


def test_what_is_well_is_named_with_what_was_tried(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DAGSTER_URL", system.test.url)
    names = ("warehouse", "store of snapshots", "store of artifacts", "keys", "clock", "Dagster's storage", "book prod")
    found = findings(*names)
    assert [name for name in names[1:] if not found[name]["ok"]] == []
    assert "0.0 s" in found["clock"]["found"]
    assert found["keys"]["found"] == "none are demanded: the service listens on loopback alone"
    assert all(found[name]["tried"] for name in names)
    assert len(names) == 7


def test_what_cannot_be_tried_is_named_too(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"postgres://me:secret@127.0.0.1:{free_port()}/books"
    for name in ("TEST", "PROD", "DAGSTER"):
        monkeypatch.setenv(f"PENSTOCK_{name}_URL", nowhere)
    found = findings("books")
    assert (found["books"]["tried"], found["books"]["found"]) == (
        False,
        "not tried: Postgres does not run or answer, see above",
    )
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("variable", "value", "name", "said"),
    [
        ("PENSTOCK_SNAPSHOTS_URL", "s4://bucket", "store of snapshots", "expected a folder, or a URL such as s3://"),
        ("PENSTOCK_ARTIFACTS_URL", "gs://bucket", "store of artifacts", "pip install 'penstock[gs]'"),
        ("PENSTOCK_API_KEYS_FILE", "/nowhere/keys", "keys", "expected a file of SHA-256 digests"),
        ("PENSTOCK_HTTP_HOST", "0.0.0.0", "keys", "since 0.0.0.0 can be reached from elsewhere"),
        ("PENSTOCK_RAY_ADDRESS", "ray://127.0.0.1:1", "Ray for training", "refused"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    system: System, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    found = findings(name)[name]
    assert not found["ok"]
    assert said in found["found"]
    assert "\n" not in found["found"]


def test_a_wrong_line_of_the_key_file_is_named(system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{'0' * 64} name=shop scopes=predict\n{'1' * 64} scopes=all\n")
    monkeypatch.setenv("PENSTOCK_API_KEYS_FILE", str(file))
    assert f"{file}, line 2: expected scopes among predict, journal, metrics" in findings("keys")["keys"]["found"]
    file.write_text(f"{'0' * 64} name=shop scopes=predict\n")
    assert findings("keys")["keys"]["found"] == f"1 in {file}: shop (predict)"


def test_one_database_for_both_books_is_said(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DAGSTER_URL", system.test.url)
    assert "books" not in findings()
    monkeypatch.setenv("PENSTOCK_PROD_URL", system.test.url.replace("postgresql://", "postgres://"))
    found = findings("books")["books"]
    assert (found["ok"], found["tried"]) == (False, True)
    assert found["found"].startswith("PENSTOCK_TEST_URL and PENSTOCK_PROD_URL: expected two databases")


def test_a_clock_that_is_off_is_said(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    really = clock.time.time
    monkeypatch.setattr(clock.time, "time", lambda: really() - 60)
    found = surroundings.clock(book)
    assert not found.ok
    assert re.match(r"(59|60)\.\d s behind that of", found.found)


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_one_sentence_before_anything_starts(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PENSTOCK_ARTIFACTS_URL": "s3://bucket/artifacts",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PenstockError, match=r"^store of artifacts: expected an answer of s3://bucket/artifacts, found"):
        surroundings.demand_stores(system.settings.stores)
    found = findings("store of artifacts", "store of snapshots")
    assert "Look at PENSTOCK_ARTIFACTS_URL" in found["store of artifacts"]["found"]
    assert (found["store of artifacts"]["ok"], found["store of snapshots"]["ok"]) == (False, True)


def test_what_a_stores_client_says_while_a_command_runs_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://store")

    monkeypatch.setattr(main, "penstock", refuse)
    with pytest.raises(SystemExit):
        main.main()
    said = capsys.readouterr().err
    assert said == (
        'penstock: store: Could not connect to the endpoint URL: "http://store". `penstock doctor` asks both stores.\n'
    )
