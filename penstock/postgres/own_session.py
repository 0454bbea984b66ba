"""What is said where a session is shared with other clients, and how long that is looked for; without any driver."""

from penstock.postgres.migrations import BookError

TRIES = 5
PROBE_SECONDS = 0.5
"""Where a second session gets no process of the server meanwhile, the first one keeps its own."""


def pooled(book: str) -> BookError:
    """What is said where a session is not the client's own."""
    return BookError(
        book,
        expected="a connection to Postgres itself, or to a pooler that pools sessions",
        found="a pooler that gives the same session to several clients, such as PgBouncer with pool_mode = transaction",
        todo="Name the host and port of Postgres itself in the URL, or set pool_mode = session for this database.",
    )
