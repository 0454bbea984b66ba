"""A project that is pointed at another kind of warehouse: what cannot be the same there is refused with a sentence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import extract
from penstock.extract.other_kind import ambiguous
from penstock.snapshots.store import SnapshotStore
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from tests.engine.publishing import declared

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ROWS = (
    "SELECT CAST(n AS bigint) AS id, CAST(n AS integer) AS n, CAST(n AS numeric(9,2)) AS price, CAST(n + 0.5 AS"
    " double precision) AS f, t FROM (VALUES (1, 'é'), (2, 'b'), (3, NULL)) AS v (n, t)"
)
MEANINGS = {
    "n / 2 > 1.2": "CAST(n AS double precision) / 2 > 1.2",
    "round(f)": "floor(f + 0.5e0)",
    "CAST(length(t) AS integer)": "CAST(char_length(t) AS integer)",
    "concat(t, 'x')": "t || 'x'",
    "CAST(row_number() OVER (ORDER BY t DESC) AS integer)": (
        "CAST(row_number() OVER (ORDER BY t DESC NULLS LAST) AS integer)"
    ),
    "n IN (1, NULL)": "n IN (1)",
    r"t || '\t'": "t || '\t'",
}
"""SQL that some kinds read otherwise -> what all read alike."""


def asked(query: str) -> ReplicatedTable:
    return replace(declared("t", ("id",)), query=query)


@pytest.fixture
def kinds(tmp_path: Path, new_database: Callable[[], str]) -> dict[str, Warehouse]:
    (tmp_path / "chdb").mkdir()
    made: dict[str, Warehouse] = {
        "duckdb": DuckDBWarehouse(str(tmp_path / "w.duckdb")),
        "postgresql": PostgresWarehouse(new_database()),
        "clickhouse": ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}"),
    }
    for one in made.values():
        one.prepare(f"CREATE TABLE t AS {ROWS}")
    return made


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "store"))


@pytest.mark.slow
def test_what_is_refused_is_otherwise_and_what_is_advised_is_the_same(
    kinds: dict[str, Warehouse], tmp_path: Path
) -> None:
    for place, (written, instead) in enumerate(MEANINGS.items()):
        query = f"SELECT id, {written} AS x FROM t"
        made = {
            (kind, text): extract(
                asked(f"SELECT id, {text} AS x FROM t"),
                warehouse,
                SnapshotStore(str(tmp_path / f"{place} {kind}")),
                NOW,
            ).id
            for kind, warehouse in kinds.items()
            for text in (written, instead)
        }
        assert len({made[kind, instead] for kind in kinds}) == 1, instead
        assert len({made[kind, written] for kind in kinds}) > 1, written
        assert len(ambiguous(query)) == 1
        assert ambiguous(f"SELECT id, {instead} AS x FROM t") == []


@pytest.mark.slow
@pytest.mark.parametrize("to", ["postgresql", "clickhouse"])
def test_every_column_and_word_is_named_and_a_changed_query_is_read(
    kinds: dict[str, Warehouse], store: SnapshotStore, to: str
) -> None:
    table = asked("SELECT id, sum(n) AS n, sum(price) AS price, 1.5 AS x, 7 / 2 AS y FROM t GROUP BY id")
    extract(table, kinds["duckdb"], store, NOW)
    extract(table, kinds["duckdb"], store, NOW)
    with pytest.raises(PenstockError) as refused:
        extract(table, kinds[to], store, NOW)
    told = str(refused.value)
    assert "column 'n' of 't': expected numeric(38,0), as the last snapshot has it from DuckDB, found bigint" in told
    assert "column 'x' of 't': expected numeric(2,1)" in told
    assert "query of 't'" in told
    assert "found other rows, and '/', which of whole numbers is whole in Postgres" in told
    assert len(store.history("t")) == 2

    changed = asked(f"{table.query} -- as {to} reads it")
    assert extract(changed, kinds[to], store, NOW).rows == 3
    assert extract(changed, kinds[to], store, NOW).rows == 3


def test_a_name_that_a_kind_writes_in_small_letters_is_refused(
    kinds: dict[str, Warehouse], store: SnapshotStore
) -> None:
    extract(asked("SELECT id, n AS Level FROM t"), kinds["duckdb"], store, NOW)
    with pytest.raises(
        PenstockError, match=r"columns of 't': expected id, Level, .* from DuckDB, found id, level from"
    ):
        extract(asked("SELECT id, n AS Level FROM t"), kinds["postgresql"], store, NOW)
    made = [extract(asked('SELECT id, n AS "Level" FROM t'), warehouse, store, NOW) for warehouse in kinds.values()]
    assert len({one.id for one in made}) == 1


def test_words_that_may_differ_are_refused_only_where_the_rows_do(
    kinds: dict[str, Warehouse], store: SnapshotStore
) -> None:
    table = asked("SELECT id, CAST(f AS double precision) / 4 AS x FROM t")
    made = [extract(table, kinds[kind], store, NOW) for kind in ("duckdb", "postgresql")]
    assert made[0].id == made[1].id
    whole = asked("SELECT id, CAST(n / 2 AS double precision) AS x FROM t")
    before = extract(whole, kinds["duckdb"], store, NOW)
    with pytest.raises(PenstockError, match=r"^query of 't': expected the rows .* found other rows, and '/', which"):
        extract(whole, kinds["postgresql"], store, NOW)
    assert [one.id for one in store.history("t")] == [made[0].id, made[0].id, before.id]
    assert extract(whole, kinds["clickhouse"], store, NOW).id == before.id


def test_portable_sql_makes_the_same_snapshot_and_a_watermark_no_mixture(
    kinds: dict[str, Warehouse], store: SnapshotStore
) -> None:
    table = replace(asked("SELECT id, n, price, f, t FROM t"), watermark="id")
    made = [extract(table, warehouse, store, NOW) for warehouse in kinds.values()]
    assert len({one.id for one in made}) == 1
    assert [one.manifest.dialect for one in made] == list(kinds)
    assert [one.base for one in made] == [None] * 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a / 2.0e0, a/1e3, CAST(a AS double precision) / b, a / CAST(b AS double precision) FROM t",
        "SELECT 'a / b', char_length(x), \"round(x)\" -- length(x)\nFROM t ORDER BY a DESC NULLS LAST",
        "SELECT a IN (1, 2), b, NULL FROM t",
    ],
)
def test_what_all_read_alike_is_not_named(query: str) -> None:
    assert ambiguous(query) == []
