"""Books as logins see them that belong to one role of `penstock doctor --roles` only."""

import psycopg

from penstock.postgres import roles
from penstock.postgres.book import Book


def as_member(book: Book, role: str, login: str = "") -> Book:
    """The same book, connected as a login that is a member of this role and of no other. The book gets the roles."""
    login = login or f"only_{role}"
    with psycopg.connect(book.url, autocommit=True) as connection:
        connection.execute(roles.script().encode())
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (login,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}".encode())
    return Book(book.name, book.url.replace("//postgres@", f"//{login}@"))
