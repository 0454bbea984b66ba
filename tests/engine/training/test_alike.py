"""Keys of a hand-written lookup that only the warehouse takes for equal are said before training."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
import pytest

from penstock.contract.contract import Contract, Feature, Lookup, Output
from penstock.contract.features import numbers
from penstock.declare.table import ReplicatedTable
from penstock.extract.extract import extract
from penstock.snapshots.store import SnapshotStore
from penstock.testing import NOON
from penstock.training.alike import alike_by_type
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.postgres.tcp_server import DEBIAN, TcpServer


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    mail: Annotated[str, msgspec.Meta(max_length=64)]
    asked_at: datetime | None = None


CONTRACT = Contract(
    model="m",
    purpose="",
    request=Ask,
    entity=("mail",),
    lookups=(Lookup("users", key={"mail": "mail"}, columns=numbers("v")),),
    features=(Feature("v", "number"),),
    compute=lambda columns: {"v": columns["users.v"]},
    output=Output("y", "classifier"),
)
USERS = ReplicatedTable("users", "SELECT mail, v FROM users", ("mail",), lookups=CONTRACT.lookups)
QUERY = "SELECT mail, asked FROM cases WHERE asked >= :from AND asked < :until"
WINDOW = {"from": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2027, 1, 1, tzinfo=UTC)}
SAID = (
    "lookup users misses 2 rows whose mail equals mail of users by a type such as citext, or a collation, and not byte"
    ' by byte, as the service compares them: bring both into one form in the queries, such as lower(CAST("mail" AS'
    " VARCHAR)), and let callers send it"
)
ROWS = """
    INSERT INTO users VALUES ('Ada', 1), ('bo', 2), ('Cy', 3), ('dee', 4);
    INSERT INTO cases SELECT mail, timestamp '2026-05-01' FROM (VALUES ('ada'), ('bo'), ('CY'), ('eve')) t(mail)
"""


@pytest.fixture(scope="module")
def citext() -> Iterator[str]:
    """A Postgres whose mails are citext: Debian's, since the embedded one has no extension."""
    if not DEBIAN or not shutil.which("pg_lsclusters"):
        pytest.skip("needs Debian's postgresql")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ps-") as folder:
        Path(folder).chmod(0o755)
        server = TcpServer(Path(folder) / "server", programs=DEBIAN[-1].parent)
        server.create()
        server.start()
        try:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(
                    "CREATE EXTENSION citext; CREATE TABLE users (mail citext PRIMARY KEY, v int);"
                    f"CREATE TABLE cases (mail text, asked timestamptz); {ROWS}"
                )
            yield server.url()
        finally:
            server.remove()


def of_duckdb(folder: Path, kind: str) -> Warehouse:
    made = DuckDBWarehouse(str(folder / "w.duckdb"))
    made.prepare(
        f"CREATE TABLE users (mail {kind}, v int); CREATE TABLE cases (mail {kind}, asked timestamptz); {ROWS}"
    )
    return made


def said(warehouse: Warehouse, query: str = QUERY, table: ReplicatedTable = USERS) -> list[str]:
    return list(alike_by_type(warehouse, query, WINDOW, CONTRACT, [table]))


def test_a_collation_is_said_and_the_form_that_both_are_brought_into_ends_it(tmp_path: Path) -> None:
    warehouse = of_duckdb(tmp_path, "VARCHAR COLLATE NOCASE")
    assert said(warehouse) == [SAID]
    form = 'lower(CAST("mail" AS VARCHAR)) AS mail'
    mended = replace(USERS, query=f"SELECT {form}, v FROM users")
    assert said(warehouse, QUERY.replace("mail", form, 1), mended) == []


def test_texts_that_differ_by_case_alone_are_no_slip(tmp_path: Path) -> None:
    assert said(of_duckdb(tmp_path, "VARCHAR")) == []


@pytest.mark.slow
def test_a_key_of_citext_is_said_and_extracted_in_the_order_of_bytes(citext: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(citext)
    assert said(warehouse) == [SAID]
    rows = extract(USERS, warehouse, SnapshotStore(str(tmp_path)), NOON).batches().read_all()
    assert rows["mail"].to_pylist() == ["Ada", "Cy", "bo", "dee"]
