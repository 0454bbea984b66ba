"""Whoever may read a prepared table may read it when it is made again."""

from collections.abc import Callable
from pathlib import Path

import fakesnow
import psycopg
import pytest
import sqlglot

from penstock.declare.preparation import Preparation
from penstock.extract.preparing import prepare
from penstock.settings import Settings
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.redshift import RedshiftWarehouse
from penstock.warehouse.snowflake import SnowflakeSession
from tests.engine.extract.test_preparing import rows


def test_who_may_read_a_table_may_read_it_when_it_is_made_again(new_database: Callable[[], str]) -> None:
    url = new_database()
    made, again = PostgresWarehouse(url), Preparation("one", query="SELECT 1 AS n")
    prepare(made, again)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('DROP ROLE IF EXISTS "a \'reader"; CREATE ROLE "a \'reader" LOGIN')
        connection.execute('GRANT USAGE ON SCHEMA prepared TO PUBLIC; GRANT SELECT ON prepared.one TO "a \'reader"')

    for _ in range(2):
        prepare(made, again)
    reader = PostgresWarehouse(url.replace("postgres@", "a%20%27reader@", 1))
    assert rows(reader, "SELECT n FROM prepared.one") == [(1,)]


def test_grants_are_repeated_in_redshift_and_copied_in_snowflake(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A Postgres with the view of Redshift; the connector of Snowflake over a DuckDB, which has no grants."""
    url = new_database()
    made, again = RedshiftWarehouse(url), Preparation("one", query="SELECT 1 AS n")
    prepare(made, again)
    assert "The grants of prepared.one are not repeated" in caplog.text
    with psycopg.connect(url, autocommit=True) as connection:
        for role in ("reads", "a 'member"):
            connection.execute(f'DROP ROLE IF EXISTS "{role}"; CREATE ROLE "{role}" LOGIN'.encode())
        connection.execute("""CREATE VIEW svv_relation_privileges AS SELECT 'prepared'::text AS namespace_name, *
            FROM (VALUES ('one'::text, 'SELECT'::text, 'reads'::text, 'user'::text, true),
                ('one', 'SELECT', 'a ''member', 'group', false), ('one', 'UPDATE', NULL, 'public', false),
                ('other', 'DELETE', 'reads', 'user', false))
            AS v (relation_name, privilege_type, identity_name, identity_type, admin_option)""")
    prepare(made, again)
    granted = rows(made, "SELECT CAST(relacl AS text) AS acl FROM pg_class WHERE relname = 'one'")
    ((acl,),) = granted
    assert [part in str(acl) for part in ("reads=r*/", "a 'member", "=w/postgres}", "=d/")] == [True, True, True, False]

    said: list[str] = []
    monkeypatch.setattr(SnowflakeSession, "run", lambda self, statement: said.append(statement))
    monkeypatch.setattr("penstock.extract.preparing._count", lambda warehouse, query: 1)
    with fakesnow.patch():
        prepare(open_warehouse(Settings(home=tmp_path, warehouse_url="snowflake://me:x@account/shop/public")), again)
    (swap,) = [one for one in said if "OR REPLACE" in one]
    assert swap.startswith('CREATE OR REPLACE TABLE prepared."one" COPY GRANTS AS SELECT * FROM prepared."penstock')
    assert sqlglot.parse_one(swap, dialect="snowflake", error_level=sqlglot.ErrorLevel.RAISE)
