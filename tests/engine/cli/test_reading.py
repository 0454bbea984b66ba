"""Commands that only read need a role that can only read; and none of all commands waits for an analyst."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import dagster as dg
import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result

from penstock.cli.main import main, penstock
from penstock.declare.discovery import declared
from penstock.extract.coming_requests import coming
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.migrations import Migration, known, newest
from penstock.releases.ledger import ledger
from penstock.serving.app import App
from penstock.testing import as_member
from tests.example import MONTH, Example

MODEL = "flight_delay"
QUESTIONS = 3
READING = [
    ["releases", MODEL],
    ["card", MODEL],
    ["replay", "--since", "1h"],
    ["verify", "airports"],
    ["advise", "airports"],
    ["requests", MODEL],
    ["migrate", "--dry-run"],
]
WRITING = [
    ["publish", "airports"],
    ["train", MODEL, "--period", MONTH],
    ["rollback", MODEL, "--why", "drill", "--to", "1"],
    ["migrate"],
]
BEFORE_WORDS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'app.current_release'::regclass AND attname = 'release' AND NOT attisdropped) THEN
        ALTER TABLE app.release RENAME COLUMN release TO version;
        ALTER INDEX app.release_model_release RENAME TO release_model_version;
        ALTER TABLE app.current_release RENAME COLUMN release TO version;
        ALTER TABLE app.prediction RENAME COLUMN prediction TO outcome;
        ALTER TABLE app.latest_answer RENAME COLUMN prediction TO outcome;
        ALTER VIEW app.journal RENAME COLUMN prediction TO outcome;
    END IF;
END $$
"""
"""A book of before the migration `words`."""
SECONDS = 200  # below the 300 of whoever waits for a lock; a machine that does much else makes all commands slow


def run(*arguments: str) -> Result:
    return CliRunner().invoke(penstock, arguments)


@pytest.fixture(scope="module")
def answered(materialized: dg.ExecuteInProcessResult, example: Example) -> Example:
    """The example with a few predictions in PROD's journal, made as a login that can only serve."""
    url = as_member(example.prod, roles.SERVICE).url
    requests = coming(declared().model(MODEL), QUESTIONS, example.warehouse, example.clock.now)

    async def ask() -> httpx.Response:
        app = App(example.settings, url)
        await app.start()
        try:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.post(f"/models/{MODEL}/predict", json=requests)
        finally:
            await app.stop()

    response = asyncio.run(ask())
    assert response.status_code == 200, response.text
    assert len(response.json()) == QUESTIONS
    return example


@pytest.fixture
def reading(answered: Example, monkeypatch: pytest.MonkeyPatch) -> Example:
    """The environment names a login that may only read."""
    for book in (answered.test, answered.prod):
        monkeypatch.setenv(f"PENSTOCK_{book.name.upper()}_URL", as_member(book, roles.READER).url)
    return answered


@pytest.fixture
def analyst(answered: Example) -> Iterator[None]:
    """Somebody who has read the journal and everything else of both books, and left the transaction open."""
    with answered.test.connect() as test, answered.prod.connect() as prod:
        for connection in (test, prod):
            for name in (
                "app.journal",
                "app.release",
                "app.current_release",
                "app.latest_answer",
                "replicated.current",
            ):
                connection.execute(f"SELECT * FROM {name}".encode())
        yield


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_command_that_reads_needs_a_reading_role(command: list[str], reading: Example) -> None:
    done = run(*command)
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.output


def test_replay_makes_the_predictions_again_with_a_reading_role(reading: Example) -> None:
    shown = run("replay", "--since", "1h").output
    assert f"{QUESTIONS} replayed, {QUESTIONS} identical to the bit, 0 different." in shown


def test_explain_and_replay_against_say_why_with_a_reading_role(reading: Example) -> None:
    with reading.prod.connect() as connection:
        [id_] = connection.execute("SELECT id::text FROM app.prediction ORDER BY id LIMIT 1").fetchone() or [""]
    shown = run("explain", id_)
    assert shown.exit_code == 0, (shown.output, shown.exception)
    assert f"{id_}  flight_delay, release 1: " in shown.output
    assert "  raw score of late: " in shown.output
    told = json.loads(run("explain", id_, "--json").output)
    assert told["base_value"] + sum(told["contributions"].values()) == pytest.approx(told["raw_score"], abs=1e-9)
    moved = run("replay", "--since", "1h", "--against", "1").output
    assert f"Contributions of {QUESTIONS} predictions by release 1, and by release 1:" in moved
    missing = run("explain", "01a20260-fff0-7000-a1a4-4f4f21fead59")
    assert "expected 1 in the journal of PROD, found 0" in str(missing.exception)
    assert "expected one of the ledger" in str(run("replay", id_, "--against", "77").exception)


def test_status_and_doctor_look_into_the_books_with_a_reading_role(reading: Example) -> None:
    shown = json.loads(run("status", "--json").output)
    assert shown["trouble"] == ""
    assert [release["model"] for release in shown["releases"]] == [MODEL]
    assert len(shown["tables"]) == len(declared().tables)
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json").output)}
    for name in ("book test", "book prod"):
        assert findings[name]["ok"]
        assert findings[name]["found"] == f"version {newest()}, as only_penstock_reader, who may read"
    assert findings["release"]["ok"]


@pytest.mark.parametrize(
    "command",
    [
        ["publish", "airports", "--test-only"],
        ["train", MODEL, "--period", "2026-09", "--override", "--why", "drill"],
    ],
    ids=lambda command: command[0],
)
def test_a_reading_role_that_writes_is_refused_with_a_sentence(
    command: list[str],
    reading: Example,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = ledger(reading.test, MODEL)
    if command[0] == "publish":
        monkeypatch.setenv("PENSTOCK_TEST_URL", as_member(book, roles.READER).url)
    monkeypatch.setattr(sys, "argv", ["penstock", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "as role 'only_penstock_reader': expected what penstock_pipeline has: GRANT " in said
    assert said.endswith("found not granted. `penstock doctor --roles` prints the SQL that grants all of it.\n")
    assert ledger(reading.test, MODEL) == before


@pytest.mark.parametrize("command", [*READING, *WRITING, ["status"], ["doctor"]], ids=lambda command: command[0])
def test_no_command_waits_for_an_open_transaction(command: list[str], answered: Example, analyst: None) -> None:
    began = time.monotonic()
    done = run(*command)
    assert time.monotonic() - began < SECONDS
    assert done.exit_code in ({0, 1} if command[0] in ("status", "doctor") else {0}), done.exception


@pytest.fixture
def behind(answered: Example, monkeypatch: pytest.MonkeyPatch) -> tuple[Migration, ...]:
    """The migrations that TEST lacks: that of a view which the analyst reads, and all after it."""
    pending = known()[next(n for n, one in enumerate(known()) if one.name == "words") :]
    with answered.test.connect() as connection:
        connection.execute(BEFORE_WORDS)
        connection.execute("DELETE FROM app.migration WHERE number >= %s", (pending[0].number,))
    monkeypatch.setenv("PENSTOCK_TEST_URL", as_member(answered.test, roles.MIGRATE).url)
    return pending


def test_migrate_with_something_to_do_gives_up_with_a_sentence(behind: tuple[Migration, ...], analyst: None) -> None:
    before, names = behind[0].number - 1, ", ".join(map(str, behind))
    planned = run("migrate", "--book", "test", "--dry-run").output
    assert planned == f"TEST: version {before}; to apply: {names}.\n"
    refused = str(run("migrate", "--book", "test", "--patience", "1").exception)
    assert f"migration {behind[0]} of book 'test': expected a moment without other sessions" in refused
    assert "idle in transaction" in refused
    assert f"expected version {newest()}, found version {before}. Run `penstock migrate`." in str(
        run("releases", MODEL).exception
    )


def test_migrate_applies_what_is_pending_once_nobody_reads(behind: tuple[Migration, ...]) -> None:
    before, names = behind[0].number - 1, ", ".join(map(str, behind))
    moved = f"TEST: version {newest()}, before version {before}; applied: {names}.\n"
    assert run("migrate", "--book", "test").output.endswith(moved)
    assert run("migrate", "--book", "test").output == f"TEST: version {newest()}; nothing to do.\n"


def test_doctor_prints_the_roles_and_what_a_login_lacks(reading: Example) -> None:
    assert run("doctor", "--roles").output == roles.script()
    with psycopg.connect(reading.prod.url, autocommit=True) as connection:
        connection.execute("REVOKE SELECT ON app.latest_answer FROM penstock_reader")
    try:
        findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json").output)}
    finally:
        as_member(reading.prod, roles.READER)
    assert not findings["book prod"]["ok"]
    assert (
        "lacks for penstock_reader: GRANT SELECT ON TABLE app.latest_answer TO penstock_reader;"
        in (findings["book prod"]["found"])
    )
    assert findings["book test"]["ok"]
