"""The same rows have the same snapshot id, from whatever warehouse they come."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from penstock.errors import PenstockError
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.literals import escaped
from penstock.warehouse.postgres.types import PostgresColumn
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.checkout import ROOT
from tests.engine.warehouse.type_table import KEPT, KINDS, REFUSED, VALUES, TypeCase, table
from tests.slow import slow_after

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok')"


class Kinds:
    """A DuckDB, a Postgres and a ClickHouse, and one store for what is extracted of both."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = SnapshotStore(str(folder / "store"))
        (folder / "chdb").mkdir()
        self.kinds: dict[str, Warehouse] = {
            "DuckDB": DuckDBWarehouse(str(folder / "w.duckdb")),
            "Postgres": PostgresWarehouse(url),
            "ClickHouse": ClickHouseWarehouse(f"chdb://{folder / 'chdb'}"),
        }
        for kind in ("DuckDB", "Postgres"):
            self.kinds[kind].prepare(MOOD)

    def snapshot(self, kind: str, query: str, key: Sequence[str] = ("id",)) -> Snapshot:
        with self.kinds[kind].batches(query, key=key) as batches:
            return self.store.write("t", batches, Recipe(query, tuple(key)), as_of=NOW)


@pytest.fixture(scope="module")
def kinds(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from penstock.testing.books import create_database, drop_databases

    url = create_database(postgres)
    yield Kinds(tmp_path_factory.mktemp("kinds"), url)
    drop_databases(postgres, [url])


def rows(kind: str, values: Sequence[str | None]) -> str:
    """A query of id and x of literal values of a type; the first row is a null."""
    listed = [None, *values]
    return " UNION ALL ".join(
        f"SELECT CAST({place} AS bigint) AS id, CAST({literal(value)} AS {kind}) AS x"
        for place, value in enumerate(listed)
    )


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


@pytest.mark.parametrize("kept", slow_after(8, KEPT), ids=lambda kept: f"{kept.duckdb[0]} {kept.postgres[0]}")
def test_every_type_makes_the_same_snapshot_from_every_kind(kinds: Kinds, kept: TypeCase) -> None:
    made = [kinds.snapshot(one, rows(kind, kept.values)) for one in KINDS for kind in kept.types[one]]
    assert len(made) >= 2
    assert {one.manifest.columns[1] for one in made} == {("x", kept.book)}
    assert {one.rows for one in made} == {len(kept.values) + 1}
    assert len({one.id for one in made}) == 1


def test_nan_is_one_value_however_it_was_made(kinds: Kinds) -> None:
    """Arithmetic of x86 sets its sign, a literal and arithmetic of ARM do not."""
    made = {
        kinds.snapshot(
            kind, f"SELECT 1 AS id, {expression} AS x FROM ({rows('double precision', [one])}) AS r WHERE id = 1"
        )
        for kind in kinds.kinds
        for one, expression in (("NaN", "x"), ("NaN", "-x"), ("Infinity", "x - x"))
    }
    assert {one.rows for one in made} == {1}
    assert len({one.id for one in made}) == 1


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: f"{refused.kind} {refused.type}")
def test_what_no_book_has_is_refused_by_the_name_of_its_column(kinds: Kinds, refused: Any) -> None:
    with pytest.raises(PenstockError, match=r"columns? 'x'.* expected .*numbers?, .*found"):
        kinds.snapshot(refused.kind, f"SELECT 1 AS id, {refused.example} AS x")


@pytest.mark.parametrize(("what", "kind", "value"), VALUES)
def test_a_value_that_no_book_has_is_refused_by_the_name_of_its_column(
    kinds: Kinds, what: str, kind: str, value: str
) -> None:
    with pytest.raises(PenstockError, match=r"column 'x'.* expected"):
        kinds.snapshot(kind, f"SELECT 1 AS id, {value} AS x")


def test_the_table_of_the_docs_is_that_of_the_tests() -> None:
    assert table() in (ROOT / "docs" / "warehouses.md").read_text(), (
        "print it by `python -m tests.engine.warehouse.type_table`"
    )


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)


@hypothesis_settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(TEXTS, min_size=1, max_size=30, unique=True))
def test_text_keys_are_in_the_order_of_their_bytes(kinds: Kinds, texts: list[str]) -> None:
    made = {}
    for kind in kinds.kinds:
        listed = [escaped(text) if kind == "ClickHouse" else literal(text) for text in texts]
        query = " UNION ALL ".join(f"SELECT {text} AS k, 'x' AS l" for text in listed)
        made[kind] = kinds.snapshot(kind, query, ("l", "k"))
    assert len({one.id for one in made.values()}) == 1 < len(made)
    stored = [row["k"] for row in made["Postgres"].batches().read_all().to_pylist()]
    assert stored == sorted(texts, key=str.encode)


@pytest.mark.parametrize("kind", ["char(4)", "varchar(4)", "name", "mood", "uuid"])
def test_every_text_is_ordered_by_its_bytes_whatever_the_collation_of_its_column(kinds: Kinds, kind: str) -> None:
    values = {"mood": ["sad", "ok"], "uuid": [f"{n}e37df36-f698-11e6-8dd4-cb9ced3df976" for n in "f0a9"]}
    found = values.get(kind, ["b", "B", "a", "é", "_", "Z"])
    query = " UNION ALL ".join(f"SELECT CAST({literal(one)} AS {kind}) AS k" for one in found)
    stored = [row["k"] for row in kinds.snapshot("Postgres", query, ("k",)).batches().read_all().to_pylist()]
    assert stored == sorted(found, key=str.encode)


def test_the_order_of_text_is_asked_of_postgres_without_its_collations() -> None:
    from pyarrow import int64, string

    assert PostgresColumn("k", string(), "text").ordered() == 'extract."k"::text COLLATE "C"'
    assert PostgresColumn("n", int64()).ordered() == 'extract."n"'


def test_rows_of_a_zoned_session_make_the_same_snapshot(
    kinds: Kinds, new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    other = PostgresWarehouse(url)
    other.prepare(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kathmandu''', current_database()); END $$"
    )
    query = "SELECT 1 AS id, TIMESTAMPTZ '2026-03-29 02:30:00+01' AS x, date '2026-03-29' AS d"
    with other.batches(query, key=("id",)) as batches:
        zoned = kinds.store.write("t", batches, Recipe(query, ("id",)), as_of=NOW)
    assert zoned.id == kinds.snapshot("DuckDB", query).id


def test_views_of_a_duckdb_over_parquet_make_the_snapshot_of_its_tables(kinds: Kinds, tmp_path: Path) -> None:
    local = kinds.kinds["DuckDB"]
    local.prepare(f"""CREATE TABLE stored AS SELECT range AS id, 'a' || range AS x, range / 7.0e0 AS y FROM range(1000);
        COPY stored TO '{tmp_path}/stored.parquet'; CREATE VIEW seen AS FROM read_parquet('{tmp_path}/*.parquet')""")
    made = [kinds.snapshot("DuckDB", f"SELECT * FROM {name}", ("x",)) for name in ("stored", "seen")]
    assert made[0].rows == 1000
    assert made[0].id == made[1].id
