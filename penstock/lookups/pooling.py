"""As penstock.postgres.connecting, for the serving side: whether a pooler gives a session to others."""

import asyncio
from typing import Any

import asyncpg

from penstock.lookups.connection import open_session
from penstock.postgres.own_session import PROBE_SECONDS, TRIES, pooled


async def demand_own_session(book: str, connection: Any, url: str) -> None:
    """BookError where a pooler shares the session of `connection` with others. One query where there is no pooler."""
    try:
        async with connection.transaction():
            own = await connection.fetchval(_PROCESS)
        if own == connection.get_server_pid():
            return
        shared = await _shared(connection, own, url)
    except (asyncpg.ProtocolViolationError, asyncpg.InvalidSQLStatementNameError) as error:
        raise pooled(book) from error  # PgBouncer refuses a transaction where it pools statements
    if shared:
        raise pooled(book)


_PROCESS = "SELECT pg_backend_pid()"


async def _shared(connection: Any, own: int, url: str) -> bool:
    other = await open_session(url, application_name="penstock, looking for a pooler")
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            for _ in range(TRIES):
                async with other.transaction():
                    if await other.fetchval(_PROCESS) == own:
                        return True
                    async with connection.transaction():
                        if await connection.fetchval(_PROCESS) != own:
                            return True
    except TimeoutError:
        pass  # another session gets no process of the server while this one is there
    finally:
        other.terminate()
    return False
