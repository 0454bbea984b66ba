"""What an operator has set wrong is said in one sentence by each command that would need it, before anything starts."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from penstock.cli.main import penstock
from penstock.cli.system import preconditions
from penstock.cli.system.preconditions import Preconditions
from penstock.errors import Faults, PenstockError
from penstock.postgres.book import Book
from penstock.processes import free_port
from penstock.settings import load
from penstock.testing import System, as_member
from tests.engine.postgres.certificates import Authority
from tests.slow import slow_after

pytestmark = pytest.mark.slow

UP, STATUS, DEPLOY, PUBLISH = ["up"], ["status"], ["deploy"], ["publish", "--all"]
SECRET = "geheim"
NOWHERE = f"postgresql://me:{SECRET}@127.0.0.1:{free_port()}/x"
WRONG = {
    "a file for a store": (
        {"PENSTOCK_ARTIFACTS_URL": "{folder}/file"},
        r"^store .*/file: expected a folder, found a file.* PENSTOCK_ARTIFACTS_URL",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "the same by a URL": (
        {"PENSTOCK_ARTIFACTS_URL": "file://{folder}/file"},
        r"^store .*/file: expected a folder, found a file",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "half a URL": (
        {"PENSTOCK_SNAPSHOTS_URL": "s3:/bucket/x"},
        r"^store s3:/bucket/x: expected a folder, or a URL such as s3://.*, found neither",
        (UP, PUBLISH),
    ),
    "a URL without its colon": (
        {"PENSTOCK_SNAPSHOTS_URL": "s3//bucket/x"},
        r"^store s3//bucket/x: expected a folder, or a URL such as s3://.*, found neither",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "a store of no kind": (
        {"PENSTOCK_SNAPSHOTS_URL": "s4://bucket/x"},
        r"^store s4://bucket/x: expected a folder, or a URL such as s3://",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "a web server for a store": (
        {"PENSTOCK_ARTIFACTS_URL": f"https://me:{SECRET}@bucket.example.com/x"},
        r"^store https://bucket.example.com/x: .* found a server that is only read. Correct PENSTOCK_ARTIFACTS_URL",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "a store without its driver": (
        {"PENSTOCK_SNAPSHOTS_URL": "gs://bucket/x"},
        r"^store gs://bucket/x: .* not installed. Install it: pip install 'penstock\[gs\]'",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "an absent warehouse": (
        {"PENSTOCK_WAREHOUSE_URL": NOWHERE},
        r"^warehouse at postgresql://me:\*\*\*@127.* found .*refused. Correct PENSTOCK_WAREHOUSE_URL",
        (UP, STATUS, PUBLISH),
    ),
    "an absent file": (
        {"PENSTOCK_WAREHOUSE_URL": "duckdb:///{folder}/absent.duckdb"},
        r"^warehouse: expected a DuckDB file at .*/absent.duckdb, found none",
        (UP, STATUS, PUBLISH),
    ),
    "a file of another kind": (
        {"PENSTOCK_WAREHOUSE_URL": "duckdb:///{folder}/file"},
        r"^warehouse .*/file: expected a DuckDB file .* not a valid DuckDB database file",
        (UP, STATUS, PUBLISH),
    ),
    "a warehouse of no kind": (
        {"PENSTOCK_WAREHOUSE_URL": f"mysql://me:{SECRET}@host/x"},
        r"^PENSTOCK_WAREHOUSE_URL: expected duckdb:///.*, found a URL of the kind 'mysql'",
        (UP, STATUS, PUBLISH),
    ),
    "an absent book": (
        {"PENSTOCK_PROD_URL": NOWHERE},
        r"^book 'prod': expected a Postgres at 127.* Look whether it runs",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "one database for both books": (
        {"PENSTOCK_PROD_URL": "{test}"},
        r"^PENSTOCK_TEST_URL and PENSTOCK_PROD_URL: expected two databases, .* found one for both, '\w+'. Make another",
        (UP, STATUS, PUBLISH, ["migrate"], ["train", "flight_delay"]),
    ),
    "an sslmode that is none": (
        {"PENSTOCK_PROD_URL": f"{NOWHERE}?sslmode=verify_full"},
        r"^PENSTOCK_PROD_URL: expected an sslmode among disable, .* found 'verify_full'. Did you mean verify-full",
        (UP, PUBLISH),
    ),
    "no file of certificates": (
        {"PENSTOCK_PROD_URL": f"{NOWHERE}?sslmode=require&sslrootcert=/nowhere/ca.crt"},
        r"^book 'prod', certificate file /nowhere/ca.crt: expected the file that sslrootcert names .* No such file",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "a relative path of certificates": (
        {"PENSTOCK_PROD_URL": f"{NOWHERE}?sslmode=require&sslrootcert=README.md"},
        r"^book 'prod', certificate file README.md: expected .*, found (a relative path|No such file)",
        (UP, PUBLISH),
    ),
    "an absent database": (
        {"PENSTOCK_PROD_URL": "{absent}"},
        r"""^book 'prod': expected .* database "absent" does not exist. Make it, CREATE DATABASE""",
        (UP, STATUS, PUBLISH),
    ),
    "an absent storage of Dagster": (
        {"PENSTOCK_DAGSTER_URL": NOWHERE},
        r"^Dagster's storage: expected a Postgres at 127.* Look whether it runs",
        (UP, STATUS),
    ),
    "a home that is a file": (
        {"PENSTOCK_HOME": "{folder}/file/home"},
        r"^home .*/file/home: expected a folder, found a file in its place, .*/file. Set PENSTOCK_HOME",
        (UP, STATUS, DEPLOY, PUBLISH),
    ),
    "a host of another machine": (
        {"PENSTOCK_HTTP_HOST": "192.0.2.1", "PENSTOCK_API_KEYS_FILE": "{folder}/keys"},
        r"^PENSTOCK_HTTP_HOST=192.0.2.1: expected one of the addresses of this machine",
        (UP, STATUS, DEPLOY),
    ),
    "no keys for others": (
        {"PENSTOCK_HTTP_HOST": "0.0.0.0"},
        r"^PENSTOCK_API_KEYS_FILE: expected a file of API keys, since 0.0.0.0 can be reached",
        (UP, STATUS, DEPLOY),
    ),
    "an address for TLS without a certificate": (
        {"PENSTOCK_HTTPS_ADDRESS": "0.0.0.0:9443"},
        r"^PENSTOCK_TLS_FILE: expected a certificate, since PENSTOCK_HTTPS_ADDRESS is set, found nothing. Set it",
        (UP, STATUS, DEPLOY),
    ),
    "a file of no key": (
        {"PENSTOCK_API_KEYS_FILE": "{folder}/file"},
        r"^PENSTOCK_API_KEYS_FILE=.*/file: expected the SHA-256 of a key on a line, found none: .*/file, line 1: ",
        (UP, STATUS, DEPLOY),
    ),
    "an empty file of keys": (
        {"PENSTOCK_API_KEYS_FILE": "{folder}/empty"},
        r"^PENSTOCK_API_KEYS_FILE=.*/empty: expected the SHA-256 of a key on a line, found none. Write it: ",
        (UP, STATUS, DEPLOY),
    ),
    "no certificate": (
        {"PENSTOCK_TLS_FILE": "{folder}/file", "PENSTOCK_API_KEYS_FILE": "{folder}/keys"},
        r"^PENSTOCK_TLS_FILE=.*/file: expected a PEM of a valid certificate",
        (UP, STATUS, DEPLOY),
    ),
}


OTHERS = [(name, command) for name, (_, _, commands) in WRONG.items() for command in commands[1:]]


@pytest.mark.parametrize(
    "case",
    slow_after(len(WRONG), [*((name, commands[0]) for name, (_, _, commands) in WRONG.items()), *OTHERS]),
    ids=lambda case: f"{case[1][0]}: {case[0]}",
)
def test_it_is_said_before_anything_starts(
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    case: tuple[str, list[str]],
) -> None:
    name, command = case
    wrong, said, _ = WRONG[name]
    (tmp_path / "file").write_text("no database and no certificate\n" * 500)
    (tmp_path / "empty").touch()
    (tmp_path / "keys").write_text(f"{'0' * 64} name=shop\n")
    home = tmp_path / "home"
    usual = {"PENSTOCK_HOME": str(home), "PENSTOCK_DAGSTER_URL": system.test.url}
    urls = {"test": system.test.url, "absent": system.test.url.replace(str(_name(system.test.url)), "absent")}
    for name, text in (usual | wrong).items():
        monkeypatch.setenv(name, re.sub(r"\{(\w+)\}", lambda found: ({"folder": str(tmp_path)} | urls)[found[1]], text))
    ended = CliRunner().invoke(penstock, command)
    assert ended.exit_code == 1
    if command == STATUS:
        sentences = ended.output.splitlines()
    else:
        assert isinstance(ended.exception, PenstockError), ended.output
        error = ended.exception
        sentences = error.sentences if isinstance(error, Faults) else [str(error)]
    assert [line for line in sentences if re.search(said, line)], sentences
    assert SECRET not in ended.output + str(ended.exception)
    assert not [path for name in ("postgres", "logs", "snapshots") if (path := home / name).exists()]


def test_all_faults_are_said_at_once(system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for name in ("SNAPSHOTS", "ARTIFACTS"):
        monkeypatch.setenv(f"PENSTOCK_{name}_URL", str(tmp_path / "file"))
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", "mysql://host/x")
    monkeypatch.setenv("PENSTOCK_PROD_URL", NOWHERE)
    needs = Preconditions(load())
    found = needs.faults([needs.home], [needs.stores_to_write, needs.warehouse, needs.books_to_publish])
    assert [str(fault).split(":")[0] for fault in found] == [
        f"store {tmp_path}/file",
        f"store {tmp_path}/file",
        "PENSTOCK_WAREHOUSE_URL",
        "book 'prod'",
    ]


def test_a_role_that_may_not_do_it_is_named_with_what_it_lacks(
    book: Book, prod_book: Book, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, empty = as_member(prod_book, "penstock_reader"), new_database()
    monkeypatch.setenv("PENSTOCK_TEST_URL", book.url)
    monkeypatch.setenv("PENSTOCK_PROD_URL", reader.url)
    needs = Preconditions(load())
    needs.demand([], [needs.books_to_bring_forward, needs.books_to_serve])
    with pytest.raises(PenstockError, match=r"^book 'prod', as role '\w+': expected what penstock_pipeline has: GRANT"):
        needs.demand([], [needs.books_to_publish])
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    name = psycopg.conninfo.conninfo_to_dict(empty)["dbname"]
    monkeypatch.setenv("PENSTOCK_PROD_URL", elsewhere := reader.url.replace(str(_name(reader.url)), str(name)))
    needs = Preconditions(load())
    with pytest.raises(PenstockError, match="expected CREATE on its database, for the schemas, found not granted"):
        needs.demand([], [needs.books_to_bring_forward])
    monkeypatch.setenv("PENSTOCK_DAGSTER_URL", elsewhere)
    needs = Preconditions(load())
    with pytest.raises(PenstockError, match=r"^Dagster's storage, as role .*: expected CREATE on its schema"):
        needs.demand([], [needs.dagster_storage])


def test_a_disk_that_is_nearly_full_is_said(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Preconditions(load())
    needs.demand([needs.home])
    monkeypatch.setattr(preconditions, "NEEDED_DISK", 1e18)
    with pytest.raises(PenstockError, match=r"^disk of .*: expected at least .* GB free, found .* Free some"):
        needs.demand([needs.home])


def test_replicas_that_no_machine_has_cpus_for_are_said(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditions.os, "cpu_count", lambda: 0.1)
    needs = Preconditions(load())
    with pytest.raises(PenstockError, match=r"replicas need .* CPUs by num_cpus, where Ray has 0.1. Lower"):
        needs.demand([needs.service_config])


def test_what_does_not_answer_in_time_is_said(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def stores() -> None:
        free.wait()

    monkeypatch.setattr(preconditions, "ASK_SECONDS", 0.2)
    with pytest.raises(PenstockError, match=r"^stores: expected an answer within 0 s, found none"):
        Preconditions(load()).demand([], [stores])
    free.set()


def test_a_certificate_that_is_valid_is_none_of_these(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path / "authority").sign("localhost")
    file = tmp_path / "tls.pem"
    file.write_text(certificate.read_text() + key.read_text())
    monkeypatch.setenv("PENSTOCK_TLS_FILE", str(file))
    needs = Preconditions(load())
    needs.demand([needs.https])
    with pytest.raises(PenstockError, match=r"since 0.0.0.0 can be reached from elsewhere"):
        needs.demand([needs.keys])
    _, other = Authority(tmp_path / "another").sign("localhost")
    file.write_text(certificate.read_text() + other.read_text())
    with pytest.raises(PenstockError, match="found key values mismatch"):
        needs.demand([needs.https])
    for text, found in {
        certificate.read_text(): "no private key",
        key.read_text(): "no certificate",
        certificate.read_text()
        + key.read_text().replace(" PRIVATE", " ENCRYPTED PRIVATE"): "a private key with a passp",
    }.items():
        file.write_text(text)
        with pytest.raises(PenstockError, match=f"^PENSTOCK_TLS_FILE=.*found {found}"):
            needs.demand([needs.https])


def _name(url: str) -> object:
    return psycopg.conninfo.conninfo_to_dict(url)["dbname"]
