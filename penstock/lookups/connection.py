"""The serving side's connection to a book."""

import asyncio
from typing import Any

import asyncpg

from penstock.lookups.compat import socket_of
from penstock.lookups.sql import SESSION
from penstock.postgres.hosts import asyncpg_arguments
from penstock.postgres.sockets import forget_unsent, widen

SECONDS = 0.8
STARTUP = ("application_name", "timezone")
"""What is set while a session starts. PgBouncer takes no other of our settings there; they are set in the session."""
_NEXT_HOST = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


async def connect(url: str, *, seconds: float = SECONDS, statements: int = 100, **session: str) -> Any:
    """A connection for the serving side; TimeoutError after `seconds`.

    It prepares a statement when it is first used, and keeps the last `statements` that were used.
    """
    async with asyncio.timeout(seconds):
        connection = await open_session(url, seconds=seconds, statements=statements, **session)
        try:
            await set_up(connection, **session)
        except BaseException:
            connection.terminate()
            raise
    return connection


async def open_session(url: str, *, seconds: float = SECONDS, statements: int = 100, **session: str) -> Any:
    """A session on the first host of the URL that is as its `target_session_attrs` says, before `set_up`.

    Each host has its share of `seconds`."""
    found = asyncpg_arguments(url)
    started = {name: value for name, value in (SESSION | session).items() if name in STARTUP}
    for place, arguments in enumerate(found, 1):
        try:
            return await asyncpg.connect(
                **arguments,
                timeout=seconds / len(found),
                statement_cache_size=statements,
                max_cached_statement_lifetime=0,
                server_settings=started,
            )
        except _NEXT_HOST:
            if place == len(found):
                raise
    raise AssertionError("a URL has a host")


async def set_up(connection: Any, **session: str) -> None:
    """The settings of SESSION and more, and a socket that takes a batch at once and forgets it where it is given up."""
    settings = {name: value for name, value in (SESSION | session).items() if name not in STARTUP}
    await connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    # What does not fit into the socket goes when the event loop comes round again, and the server would wait for it.
    if (own := socket_of(connection)) is not None:
        widen(own.fileno())
        # A question that was given up is asked at another replica. Nothing of it may be journaled later.
        forget_unsent(own.fileno())
