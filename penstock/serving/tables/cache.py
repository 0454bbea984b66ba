"""Replicated tables in a replica's memory: which are there, and loading those which are not."""

import asyncio
import ctypes
import logging
from collections.abc import Mapping
from typing import Any

import asyncpg

from penstock.contract.contract import Contract, Lookup
from penstock.lookups.connection import connect
from penstock.lookups.sql import bound_types
from penstock.postgres.pointer import Pointer, Pointers
from penstock.serving.tables.in_memory import CachedLookup, UncacheableTable
from penstock.serving.tables.loading import load

RETRY_SECONDS = 1.0

log = logging.getLogger("penstock.serve")


class TableCache:
    """The looked-up tables of one model, as its pointers name them.

    - No request waits for it: a table that is not in memory is looked up in Postgres.
    - A table that has to stay in Postgres is not tried again until its pointer moves.
    - `loading` bounds the connections with which all models of a replica load.
    """

    def __init__(self, contract: Contract, url: str, loading: asyncio.Semaphore) -> None:
        self._contract = contract
        self._bound = bound_types(contract)
        self._url = url
        self._loading = loading
        self._pointers: Pointers = {}
        self._tried: dict[str, tuple[str, CachedLookup | UncacheableTable]] = {}
        """Lookup name -> the physical table that was tried, and what became of it."""

    def use(self, pointers: Pointers) -> Mapping[str, CachedLookup]:
        """Take up pointers; returns the lookups that can be answered from memory at these, by name."""
        self._pointers = pointers
        current = {lookup.name: self._physical(lookup) for lookup in self._contract.lookups}
        self._tried = {name: tried for name, tried in self._tried.items() if current.get(name) == tried[0]}
        return {name: cached for name, (_, cached) in self._tried.items() if isinstance(cached, CachedLookup)}

    def missing(self) -> Lookup | None:
        """A lookup whose table was not tried yet, None if there is none."""
        return next(
            (one for one in self._contract.lookups if one.name not in self._tried and one.table in self._pointers), None
        )

    def why_in_postgres(self, table: str) -> str | None:
        """Why a table is looked up in Postgres; None if every lookup in it is answered from memory."""
        for lookup in self._contract.lookups:
            if lookup.table == table:
                _, cached = self._tried.get(lookup.name, ("", None))
                if not isinstance(cached, CachedLookup):
                    return str(cached) if cached is not None else "not loaded yet"
        return None

    async def load_missing(self) -> None:
        """Load until nothing is missing, over a connection of its own; tries again while Postgres is away."""
        while self.missing() is not None:
            try:
                async with self._loading:
                    await self._load_over_one_connection()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("a table of %s is not in memory yet: %r", self._contract.model, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _load_over_one_connection(self) -> None:
        connection = await connect(self._url, application_name="penstock tables", enable_seqscan="on")
        try:
            while (lookup := self.missing()) is not None:
                await self._load(connection, lookup)
        finally:
            connection.terminate()

    async def _load(self, connection: Any, lookup: Lookup) -> None:
        pointer, wanted = self._pointers[lookup.table], self._physical(lookup)
        cached: CachedLookup | UncacheableTable
        try:
            cached = await load(connection, lookup, pointer, self._bound)
        except UncacheableTable as reason:
            log.info("lookup %s stays in Postgres: %s", lookup.name, reason)
            cached = reason
        if wanted == self._physical(lookup):
            self._tried[lookup.name] = wanted, cached

    def _physical(self, lookup: Lookup) -> str:
        pointer: Pointer | None = self._pointers.get(lookup.table)
        return f"{pointer.physical} {pointer.snapshot}" if pointer else ""


def release_free_memory() -> None:
    """Return memory that loading took and freed to the system, if the C library can (glibc can)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
