"""Reads from the book for the pages: one connection, one reader at a time."""

import asyncio
import re
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from penstock.journal import reading
from penstock.journal.reading import JournalEntry
from penstock.lookups.connection import SECONDS, connect
from penstock.releases.entry import LedgerEntry, read_entry, read_newest_entries
from penstock.serving.http.problems import unavailable

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class ReleaseSummary(msgspec.Struct, frozen=True):
    """What the page shows of a ledger entry."""

    release: int
    action: str
    period: str
    at: datetime
    who: str
    why: str
    replaced: int | None
    artifact: str


class Reader:
    """Reads the journal and the ledger; Problem 503 within a second while the book is away.

    Without a URL there is no book: everything is empty.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = asyncio.Lock()
        self._connection: Any = None

    async def prediction(self, model: str, prediction: str) -> JournalEntry | None:
        """One journaled prediction, None if there is none of this id."""
        if not self._url or not _UUID.fullmatch(prediction):
            return None
        return await self._read(reading.read, model, prediction)  # type: ignore[no-any-return]

    async def predictions(self, model: str, predictions: list[str]) -> list[JournalEntry]:
        """The journaled predictions of these ids."""
        return await self._read(reading.read_several, model, predictions)  # type: ignore[no-any-return]

    async def recent(self, model: str, count: int) -> list[JournalEntry]:
        """The newest journaled predictions, newest first."""
        return [] if not self._url else await self._read(reading.recent, model, count)

    async def entry(self, model: str, entry: int) -> LedgerEntry | None:
        """One entry of a model's ledger, None if there is none of that number."""
        return None if not self._url else await self._read(read_entry, model, entry)

    async def newest_releases(self, model: str, count: int) -> list[ReleaseSummary]:
        """The newest entries of a model's ledger, newest first."""
        entries = [] if not self._url else await self._read(read_newest_entries, model, count)
        return [msgspec.convert(entry, ReleaseSummary, from_attributes=True) for entry in entries]

    async def stop(self) -> None:
        """Close the connection."""
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
