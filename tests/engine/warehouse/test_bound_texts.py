"""A text that is bound arrives as it is in every kind, whatever quotes, backslashes or SQL it holds."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import fakesnow
import psycopg
import pytest
from fakesnow.cursor import FakeSnowflakeCursor
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from penstock.settings import Settings
from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.query_text import subquery
from penstock.warehouse.redshift import RedshiftWarehouse
from penstock.warehouse.snowflake import SnowflakeWarehouse
from tests.engine.warehouse.test_column_names import batches_of_fakesnow
from tests.engine.warehouse.test_further_kinds import URLS
from tests.engine.warehouse.test_snowflake import URL as SNOWFLAKE
from tests.engine.warehouse.test_warehouse import read
from tests.engine.warehouse.transpiled import Engine, modules
from tests.slow import slow_after

KINDS = ("duckdb", "postgresql", "clickhouse", "redshift", "snowflake", *sorted(URLS))
NASTY = ("'", "''", "a'", "\\", "a\\", "\\'", "'\\", "\\\\''", "'; --", "--", "/*", ":text", "%", "$$", '"', "`", "\\n")


@pytest.fixture(params=slow_after(2, KINDS))
def warehouse(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """A warehouse of each kind. Redshift is a Postgres in which a backslash in a text escapes."""
    kind = request.param
    if kind == "duckdb":
        made = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
        made.prepare("CREATE TABLE empty (n INTEGER)")
        yield made
    elif kind == "clickhouse":
        (tmp_path / "chdb").mkdir()
        yield ClickHouseWarehouse(f"chdb://{tmp_path / 'chdb'}")
    elif kind == "postgresql":
        yield PostgresWarehouse(new_database())
    elif kind == "redshift":
        url = new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off',"
                " current_database()); END $$"
            )
        yield RedshiftWarehouse(url)
    elif kind == "snowflake":
        with fakesnow.patch():
            monkeypatch.setattr(FakeSnowflakeCursor, "fetch_arrow_batches", batches_of_fakesnow, raising=False)
            yield open_warehouse(Settings(home=tmp_path, warehouse_url=SNOWFLAKE))
    else:
        for name, module in modules(Engine(kind, duckdb.connect())).items():
            monkeypatch.setitem(sys.modules, name, module)
        yield open_warehouse(Settings(home=tmp_path, warehouse_url=URLS[kind]))


def test_every_text_arrives_as_it_is(warehouse: Warehouse) -> None:
    bound = {f"text{place}": text for place, text in enumerate(NASTY)}
    query = f"SELECT {', '.join(f'CAST(:{name} AS VARCHAR(99)) AS {name}' for name in bound)}, 'it''s' AS mine"
    assert read(warehouse, query, bound).to_pylist() == [bound | {"mine": "it's"}]
    for name, text in bound.items():
        assert read(warehouse, f"SELECT 'it''s' AS mine WHERE 'x' = :{name}", {name: text}).num_rows == 0


TEXTS = st.text(st.sampled_from("'\\;-/*:a$\"`% \n"), max_size=6)
VARIABLE = re.compile(r"\$[A-Za-z_]")
"""What fakesnow takes for a variable of the session inside a text too, as Snowflake does not."""


@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
@given(texts=st.lists(TEXTS, min_size=1, max_size=5))
@example(texts=["a'", "b"])
@pytest.mark.slow
def test_several_texts_of_one_query_do_not_run_into_one_another(warehouse: Warehouse, texts: list[str]) -> None:
    assume(not isinstance(warehouse, SnowflakeWarehouse) or not any(map(VARIABLE.search, texts)))
    bound = {f"t{place}": text for place, text in enumerate(texts)}
    query = f"SELECT {', '.join(f'CAST(:{name} AS VARCHAR(99)) AS {name}' for name in bound)} -- it's all"
    assert read(warehouse, query, bound).to_pylist() == [bound]


ESCAPING = ("clickhouse", "redshift", "snowflake", "bigquery", "databricks")
WRITTEN = r"""SELECT 'it\'s' AS a, :text AS b, 'a\\' AS c, '\'; :text -- \'' AS d, 'it''s' AS e -- it's :text
    /* don't */ ; -- the end isn't far"""


@pytest.mark.parametrize("warehouse", slow_after(1, ESCAPING), indirect=True)
def test_a_quote_behind_a_backslash_ends_no_text_where_a_backslash_escapes(warehouse: Warehouse) -> None:
    bound: dict[str, object] = {"text": r"o'\'"}
    query = WRITTEN.replace(":text AS b", "CAST(:text AS VARCHAR(99)) AS b")
    wanted = {"a": "it's", "b": bound["text"], "c": "a\\", "d": "'; :text -- '", "e": "it's"}
    assert read(warehouse, query, bound).to_pylist() == [wanted]
    assert read(warehouse, query, bound, ("a",)).to_pylist() == [wanted]
    around = f"SELECT a, d FROM (\n{subquery(warehouse.natural(query, bound))}) AS q WHERE a = 'it\\'s'"
    assert read(warehouse, around, bound).to_pylist() == [{"a": "it's", "d": wanted["d"]}]


@pytest.mark.parametrize("warehouse", slow_after(1, ESCAPING), indirect=True)
def test_a_script_with_such_texts_is_split_where_its_statements_end(warehouse: Warehouse) -> None:
    warehouse.prepare(
        r"CREATE TABLE made AS SELECT 'it\'s; ' AS a; CREATE TABLE more AS SELECT a, '\';' AS b FROM made"
    )
    assert read(warehouse, "SELECT a, b FROM more").to_pylist() == [{"a": "it's; ", "b": "';"}]
