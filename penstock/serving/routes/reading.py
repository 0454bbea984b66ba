"""Reading from the book for who looks at it: one connection, one reader at a time."""

import asyncio
import re
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from penstock.journal import journal
from penstock.journal.journal import Journaled
from penstock.lookups.connection import SECONDS, connect
from penstock.releases.cards import Released
from penstock.serving.http.problems import unavailable

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class LedgerEntry(msgspec.Struct, frozen=True):
    """One move of a model's pointer, as the release ledger keeps it."""

    version: int
    action: str
    month: str
    at: datetime
    who: str
    why: str
    replaced: int | None
    artifact: str


class Reader:
    """Reads the journal and the ledger; Problem 503 within a second while the book is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = asyncio.Lock()
        self._connection: Any = None

    async def prediction(self, model: str, prediction: str) -> Journaled | None:
        """One journaled prediction, None where there is none of this id."""
        if not _UUID.fullmatch(prediction):
            return None
        return await self._read(journal.read, model, prediction)  # type: ignore[no-any-return]

    async def recent(self, model: str, count: int) -> list[Journaled]:
        """The newest journaled predictions, newest first."""
        return await self._read(journal.recent, model, count)  # type: ignore[no-any-return]

    async def metrics(self, model: str, entry: int) -> str:
        """The metrics, as JSON text, with which a release was made."""
        return str(await self._read(_metrics, model, entry))

    async def ledger(self, model: str, count: int) -> list[LedgerEntry]:
        """The newest entries of a model's ledger, newest first."""
        return await self._read(_ledger, model, count)  # type: ignore[no-any-return]

    async def released(self, model: str, entry: int) -> Released:
        """What the ledger says of a release."""
        return await self._read(_released, model, entry)  # type: ignore[no-any-return]

    async def stop(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.terminate()

    async def _read(self, read: Any, *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(SECONDS), self._lock:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url)
                return await read(self._connection, *arguments)
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError):
            await self.stop()
            raise unavailable("book-away", "The book's Postgres does not answer.") from None


async def _metrics(connection: Any, model: str, entry: int) -> str:
    record = await connection.fetchrow("SELECT metrics FROM app.release WHERE model = $1 AND entry = $2", model, entry)
    return str(record[0]) if record else "{}"


async def _ledger(connection: Any, model: str, count: int) -> list[LedgerEntry]:
    names = LedgerEntry.__struct_fields__
    query = f"SELECT {', '.join(names)} FROM app.release WHERE model = $1 ORDER BY entry DESC LIMIT $2"
    return [LedgerEntry(*record) for record in await connection.fetch(query, model, count)]


async def _released(connection: Any, model: str, entry: int) -> Released:
    query = "SELECT version, action, who, why, at, replaced, gate FROM app.release WHERE model = $1 AND entry = $2"
    record = dict(await connection.fetchrow(query, model, entry))
    return Released(**record | {"gate": msgspec.json.decode(record["gate"])})
