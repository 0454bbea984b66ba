"""The view `replicated.<table>` for people: each publish replaces it, and keeps grants and the views that read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from penstock.postgres.roles import hand_over
from penstock.replicated.error import PublishError
from penstock.replicated.physical_table import PhysicalTable
from penstock.rows.types import postgres_columns


@dataclass(frozen=True)
class _View:
    """A view that is dropped and made again: its statement, owner, grants and comment."""

    name: str
    create: str
    owner: str
    grants: Sequence[str]
    comment: str | None


def replace_view(connection: psycopg.Connection, physical: PhysicalTable) -> None:
    """Let the view show `physical`, in the caller's transaction. Grants, and views of users that read it, survive.

    - Postgres replaces a view in place if its columns stay and new columns come last.
    - For any other change the view, and the views that read it, are dropped and made again.
    - PublishError if one of them needs a column that is gone or belongs to another role, or if something else than a
      view has the table's name.
    """
    columns = _columns(connection, physical.table)
    wanted = list(postgres_columns(physical.schema))
    if columns is None or columns == wanted[: len(columns)]:
        connection.execute(_definition(physical))
        if columns is None:
            hand_over(connection, sql.Identifier("replicated", physical.table))
        return
    kept = _kept_views(connection, physical.table)
    for view in reversed(kept):
        try:
            connection.execute(sql.SQL("DROP VIEW ") + sql.SQL(view.name))
        except psycopg.errors.InsufficientPrivilege as error:
            raise PublishError(
                f"view {view.name}, which reads replicated.{physical.table}",
                expected="a view of the publishing role, because the table's columns have changed",
                found=f"one of {view.owner}",
                todo="Drop it, publish, and create it again; nothing was changed.",
            ) from error
    connection.execute(_definition(physical))
    _restore(connection, kept[0])
    for view in kept[1:]:
        try:
            with connection.transaction():
                connection.execute(view.create)
        except (psycopg.errors.ProgrammingError, psycopg.errors.DataError) as error:
            raise PublishError(
                f"view {view.name}, which reads replicated.{physical.table}",
                expected="columns that it can still read",
                found=str(error.diag.message_primary),
                todo="Change or drop that view, or keep the column in the table's query; nothing was changed.",
            ) from error
        _restore(connection, view)


def _columns(connection: psycopg.Connection, table: str) -> list[tuple[str, str]] | None:
    """The view's columns and types; None if there is no such relation."""
    relation = connection.execute(
        "SELECT oid, relkind::text FROM pg_class WHERE relnamespace = 'replicated'::regnamespace AND relname = %s",
        (table,),
    ).fetchone()
    if relation is None:
        return None
    if relation[1] != "v":
        raise PublishError(
            f"replicated.{table}",
            expected="a view, or no such relation",
            found=f"a relation of kind {relation[1]!r}",
            todo="Rename the replicated table or move that relation away.",
        )
    return connection.execute(
        """SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        (relation[0],),
    ).fetchall()


def _definition(physical: PhysicalTable) -> sql.Composed:
    return sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(
        sql.Identifier("replicated", physical.table), public_query(physical.schema.names, physical.name)
    )


def view_finding(connection: psycopg.Connection, name: str, query: sql.Composable) -> str:
    """What is wrong with the view `replicated.<name>`, which should be `query`; empty if nothing is.

    A temporary view of the query is made, so that Postgres writes both texts in the same way."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE TEMPORARY VIEW expected_view AS {}").format(query))
        row = connection.execute(
            """SELECT pg_get_viewdef('pg_temp.expected_view'::regclass),
                      (SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relname = %s
                       AND relnamespace = 'replicated'::regnamespace)""",
            (name,),
        ).fetchone()
    expected, found = row or ("", None)
    if found is None:
        return f"the view replicated.{name} is gone"
    return "" if found == expected else f"the view replicated.{name} is not what it was: {' '.join(found.split())}"


def public_query(names: Sequence[str], physical: str) -> sql.Composed:
    """What the view for people selects."""
    return sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier("replicated", physical)
    )


def _kept_views(connection: psycopg.Connection, table: str) -> list[_View]:
    """The view, and all views that read it, directly or through others; each after those that it reads."""
    rows = connection.execute(
        """WITH RECURSIVE reading (oid, depth) AS (
               SELECT c.oid, 0 FROM pg_class c
               WHERE c.relnamespace = 'replicated'::regnamespace AND c.relname = %s
               UNION
               SELECT r.ev_class, reading.depth + 1 FROM reading
               JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = reading.oid
                   AND d.classid = 'pg_rewrite'::regclass
               JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> reading.oid
           )
           SELECT c.oid::regclass::text, c.relkind::text, pg_get_viewdef(c.oid), c.relowner::regrole::text,
                  c.reloptions, obj_description(c.oid, 'pg_class'),
                  ARRAY(SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, c.oid::regclass,
                               CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                               CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                        FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
           FROM (SELECT oid, max(depth) AS depth FROM reading GROUP BY oid) last JOIN pg_class c USING (oid)
           ORDER BY last.depth, c.oid""",
        (table,),
    ).fetchall()
    kept = []
    for name, kind, query, owner, options, comment, grants in rows:
        if kind != "v":
            raise PublishError(
                f"{name}, which reads replicated.{table}",
                expected="a plain view, because the table's columns have changed",
                found="a materialized view or another relation",
                todo="Drop it, publish, and create it again; nothing was changed.",
            )
        with_options = f" WITH ({', '.join(options)})" if options else ""
        kept.append(_View(name, f"CREATE VIEW {name}{with_options} AS {query}", owner, grants, comment))
    return kept


def _restore(connection: psycopg.Connection, view: _View) -> None:
    """Set owner, grants and comment of a view that was made again."""
    connection.execute(f"ALTER VIEW {view.name} OWNER TO {view.owner}")
    for grant in view.grants:
        connection.execute(grant)
    if view.comment is not None:
        connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(sql.SQL(view.name), sql.Literal(view.comment)))
