"""Replicated tables in a replica's memory: which are there, and the task that loads those which are not."""

import asyncio
import ctypes
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import asyncpg

from penstock.contract.contract import Contract, Lookup
from penstock.lookups.connection import connect
from penstock.lookups.sql import bound_types
from penstock.postgres.pointer import Pointer, Pointers
from penstock.serving.tables.in_memory import CachedLookup, Uncacheable
from penstock.serving.tables.loading import load

RETRY_SECONDS = 1.0

log = logging.getLogger("penstock.serve")


class TableCache:
    """The looked-up tables of one model, as its pointers name them. `loaded` hears when there are more of them.

    Nobody waits for it: what is not there is looked up in Postgres. A table that has to stay there is not tried again
    until its pointer moves.
    """

    def __init__(self, contract: Contract, url: str, loaded: Callable[[], None]) -> None:
        self._contract = contract
        self._bound = bound_types(contract)
        self._url = url
        self._loaded = loaded
        self._pointers: Pointers = {}
        self._there: dict[str, tuple[str, CachedLookup | Uncacheable]] = {}
        self._task: asyncio.Task[None] | None = None

    def use(self, pointers: Pointers) -> Mapping[str, CachedLookup]:
        """The lookups that can be answered from memory at these pointers; the others are being loaded from now on."""
        self._pointers = pointers
        current = {lookup.name: self._physical(lookup) for lookup in self._contract.lookups}
        self._there = {name: found for name, found in self._there.items() if current.get(name) == found[0]}
        if self._missing() is not None and (self._task is None):
            self._task = asyncio.get_running_loop().create_task(self._run())
        return {name: cached for name, (_, cached) in self._there.items() if isinstance(cached, CachedLookup)}

    def kept_out(self, table: str) -> str | None:
        """Why a table is looked up in Postgres; None where every lookup in it is answered from memory."""
        for lookup in self._contract.lookups:
            if lookup.table == table:
                _, cached = self._there.get(lookup.name, ("", None))
                if not isinstance(cached, CachedLookup):
                    return str(cached) if cached is not None else "not loaded yet"
        return None

    async def stop(self) -> None:
        """Stop loading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        """Load until nothing is missing."""
        connection = None
        try:
            while (lookup := self._missing()) is not None:
                try:
                    if connection is None or connection.is_closed():
                        connection = await connect(self._url, application_name="penstock tables", enable_seqscan="on")
                    await self._load(connection, lookup)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    log.warning("lookup %s is not in memory yet: %r", lookup.name, error)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            if connection is not None:
                connection.terminate()
        self._task = None
        self._loaded()
        _give_back()

    async def _load(self, connection: Any, lookup: Lookup) -> None:
        pointer, wanted = self._pointers[lookup.table], self._physical(lookup)
        cached: CachedLookup | Uncacheable
        try:
            cached = await load(connection, lookup, pointer, self._bound)
        except Uncacheable as reason:
            log.info("lookup %s stays in Postgres: %s", lookup.name, reason)
            cached = reason
        if wanted == self._physical(lookup):
            self._there[lookup.name] = wanted, cached

    def _missing(self) -> Lookup | None:
        """A lookup of which it is not known whether it can be kept in memory."""
        return next(
            (one for one in self._contract.lookups if one.name not in self._there and one.table in self._pointers), None
        )

    def _physical(self, lookup: Lookup) -> str:
        pointer: Pointer | None = self._pointers.get(lookup.table)
        return f"{pointer.physical} {pointer.snapshot}" if pointer else ""


def _give_back() -> None:
    """Give memory that loading took and freed back to the system, where the C library knows how (glibc does)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
