"""The text that is sent to a Postgres, and what it answers where it refuses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from penstock.warehouse.interface import WarehouseError, quoted
from penstock.warehouse.postgres.types import PostgresColumn
from penstock.warehouse.query_text import bind, subquery

INSUFFICIENT_PRIVILEGE = "42501"


def with_values(
    connection: psycopg.Connection[Any],
    query: str,
    bound: Mapping[str, Any] | None,
    text_of: Callable[[str], str] = lambda _: "",
) -> str:
    """The query with its values as literals, quoted by the driver, or by `text_of`: a COPY takes no parameters."""
    if not bound:
        return query
    own = {name: text_of(value).replace("%", "%%") for name, value in bound.items() if isinstance(value, str)}
    text = bind(query, bound, lambda name: own.get(name) or f"%({name})s", lambda between: between.replace("%", "%%"))
    return psycopg.ClientCursor(connection).mogrify(text.encode(), dict(bound))


def ordered(query: str, columns: Sequence[PostgresColumn], key: Sequence[str]) -> str:
    """The query as it is read, in binary order of the key."""
    named = {column.name: column for column in columns}
    order = ", ".join(named[name].ordered() if name in named else f"extract.{quoted(name)}" for name in key)
    listed = ", ".join(column.read() for column in columns)
    return f"SELECT {listed} FROM (\n{subquery(query)}) AS extract{f' ORDER BY {order}' if order else ''}"


def rows_of(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """The few rows of a query; WarehouseError where the server refuses it."""
    try:
        return connection.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        raise refused(error, query) from error


def refused(error: Exception, query: str, what: str = "query") -> WarehouseError:
    """What is said where the server refuses a query."""
    found = said(error)
    if what == "query" and getattr(error, "sqlstate", None) == INSUFFICIENT_PRIVILEGE:
        found = f"{found}; GRANT SELECT to this role, or name in a query the columns that it may read"
    return WarehouseError(what, found=found, todo=f"The {what} was: {query.strip()}")


def said(error: Exception) -> str:
    """The server's own words, without those that the driver puts around them."""
    text = str(error).strip()
    _, marked, words = text.partition("ERROR:  ")
    words, _, _ = words.partition("\n\nQuery was:")
    return words.partition(" SQLSTATE:")[0].strip() if marked else text
