"""The human-facing view `replicated.<table>`: replaced at each publish, with the grants and views built on it."""

import psycopg
from psycopg import sql

from resources.physical_table import PhysicalTable
from resources.publish_error import PublishError


def replace_view(connection: psycopg.Connection, physical: PhysicalTable) -> None:
    """Let the view show `physical`, inside the caller's transaction. Grants survive.

    PublishError where something else than a view has the table's name.
    """
    kind = connection.execute(
        "SELECT relkind::text FROM pg_class WHERE relnamespace = 'replicated'::regnamespace AND relname = %s",
        (physical.table,),
    ).fetchone()
    if kind is not None and kind[0] != "v":
        raise PublishError(
            f"replicated.{physical.table}",
            expected="a view, or no such relation",
            found=f"a relation of kind {kind[0]!r}",
            todo="Rename the replicated table or move that relation away.",
        )
    connection.execute(_definition(physical))


def _definition(physical: PhysicalTable) -> sql.Composed:
    return sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(
        sql.Identifier("replicated", physical.table),
        sql.SQL(", ").join(map(sql.Identifier, physical.schema.names)),
        physical.identifier,
    )
