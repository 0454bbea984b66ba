"""The serving side's connection to a book."""

from typing import Any

import asyncpg

from penstock.lookups.sql import SESSION
from penstock.postgres.sockets import widen

SECONDS = 0.8


async def connect(url: str, **session: str) -> Any:
    """A connection for the serving side: given up within 0.8 s, statements prepared once and kept."""
    connection = await asyncpg.connect(
        url, timeout=SECONDS, max_cached_statement_lifetime=0, server_settings={**SESSION, **session}
    )
    # The rest of what does not fit goes when the event loop comes round again, and the server would wait for it.
    if (own := connection._transport.get_extra_info("socket")) is not None:
        widen(own.fileno())
    return connection
