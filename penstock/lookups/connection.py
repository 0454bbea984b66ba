"""The serving side's connection to a book."""

from typing import Any

import asyncpg

from penstock.lookups.compat import socket_of
from penstock.lookups.sql import SESSION
from penstock.postgres.sockets import widen

SECONDS = 0.8


async def connect(url: str, *, statements: int = 100, **session: str) -> Any:
    """A connection for the serving side: given up after 0.8 s; it prepares a statement when it is first used, and keeps
    the last `statements` that were used."""
    connection = await asyncpg.connect(
        url,
        timeout=SECONDS,
        statement_cache_size=statements,
        max_cached_statement_lifetime=0,
        server_settings={**SESSION, **session},
    )
    # What does not fit into the socket goes when the event loop comes round again, and the server would wait for it.
    if (own := socket_of(connection)) is not None:
        widen(own.fileno())
    return connection
