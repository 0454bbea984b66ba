"""The watcher: keeps a replica at the releases and snapshots that are current in its book."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from penstock.journal.reading import DAYS_AHEAD, FEW_DAYS
from penstock.lookups.connection import open_session, set_up
from penstock.lookups.pooling import demand_own_session
from penstock.postgres.migrations import BEFORE_VERSIONS, VERSION_QUERY, BookError, check_version
from penstock.postgres.pointer import read_pointers
from penstock.postgres_url import shown_hosts
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import CurrentRelease, read_current_releases, read_fitting_releases
from penstock.serving.answering.state import Release
from penstock.serving.models.fetching import Fetcher
from penstock.serving.models.fits import Fits
from penstock.serving.models.served_model import ServedModel

CHANNEL = "penstock"
APPLICATION = "penstock watcher"
CONNECT_SECONDS = 5.0
POLL_SECONDS = 1.0
AWAY_SECONDS = 0.25
JOURNAL_SECONDS = 3600.0
MOST_FALLBACKS = 5
"""Entries of the ledger, newest first, that are tried where the current release cannot be served."""

log = logging.getLogger("penstock.serve")


class Watcher:
    """Reads the pointers at start, at every notification, and once a second in case one was lost."""

    def __init__(self, url: str, models: Mapping[str, ServedModel], store: ArtifactStore, cache: Path) -> None:
        self.connected = False
        self.serves = ""
        """What is served, where it is not the releases of a book."""
        self.trouble = ""
        """Why this code does not work with the book, with what to do."""
        self.ready = asyncio.Event()
        """Set once the pointers were read for the first time, and what they name was fetched, or failed to be."""
        self._url = url
        self._models = models
        self._moved = asyncio.Event()
        self._fetcher = Fetcher(store, cache, len(models), self._moved.set)
        self._fits = Fits({name: model.contract for name, model in models.items()})
        self._told: set[tuple[str, int]] = set()
        self._journal_at = 0.0

    async def run(self) -> None:
        """Watch until cancelled; connect again whenever Postgres goes away."""
        while True:
            connection = None
            try:
                connection = await self._connect()
                check_version("the book of this service", await read_version(connection))
                await connection.add_listener(CHANNEL, lambda *_: self._moved.set())
                while True:
                    self._moved.clear()
                    async with asyncio.timeout(5):
                        await self._read(connection)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), POLL_SECONDS)
            except asyncio.CancelledError:
                self._fetcher.stop()
                raise
            except (BookError, asyncpg.InsufficientPrivilegeError) as error:
                trouble = f"{error}" if isinstance(error, BookError) else f"{error}: see `penstock doctor --roles`."
                if self.trouble != trouble:
                    log.error("nothing new is served: %s", trouble)
                self.connected, self.trouble = False, trouble
                await asyncio.sleep(POLL_SECONDS)
            except Exception as error:
                trouble = f"the book at {shown_hosts(self._url)} cannot be reached: {str(error) or repr(error)}"
                if self.trouble != trouble:
                    log.warning("%s", trouble)
                self.connected, self.trouble = False, trouble
                await asyncio.sleep(AWAY_SECONDS)
            finally:
                if connection is not None:
                    connection.terminate()

    async def _connect(self) -> Any:
        """A session of its own; BookError where a pooler shares it with others."""
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await open_session(self._url, application_name=APPLICATION)
            try:
                await demand_own_session("the book of this service", connection, self._url)
                await set_up(connection, application_name=APPLICATION)
            except BaseException:
                connection.terminate()
                raise
            return connection

    async def _read(self, connection: Any) -> None:
        pointers = await read_pointers(connection)
        releases = await read_current_releases(connection)
        now = asyncio.get_running_loop().time()
        if now >= self._journal_at:
            await _warn_of_journals_end(connection)
            self._journal_at = now + JOURNAL_SECONDS
        misfits = await self._fits.of(connection, pointers)
        for name, model in self._models.items():
            model.use_pointers(pointers)
            model.use_misfit(misfits.get(name, ""))
        for current in releases:
            if current.model in self._models:
                await self._release(connection, self._models[current.model], current, now)
        self.connected, self.trouble = True, ""
        if not self.fetching:
            self.ready.set()

    @property
    def fetching(self) -> bool:
        """Whether a release is being fetched from the store."""
        return self._fetcher.busy

    @property
    def awaits_store(self) -> bool:
        """Whether a model cannot be answered only because the store is slow or fails."""
        return any(model.release is None and self._fetcher.awaits_store(name) for name, model in self._models.items())

    async def _release(self, connection: Any, model: ServedModel, current: CurrentRelease, now: float) -> None:
        """Take up a release once it is there; or keep the old one, or the newest that this code can serve, and say why.

        A refused release is tried again after RETRY_SECONDS.
        """
        if model.release is not None and model.release.entry == current.entry:
            model.refused = None
            return
        found = self._fetcher.get(model, current, now)
        if isinstance(found, Release):
            model.use_release(found)
        elif found is not None:
            if model.release is None:
                await self._fall_back(connection, model, current, now)
            model.refuse_release(current.release, str(found))
        elif model.state is None:
            model.trouble = f"release {current.release} is being fetched from the store"

    async def _fall_back(self, connection: Any, model: ServedModel, current: CurrentRelease, now: float) -> None:
        """Take up the newest release of the code's own contract, other than the current one, that can be loaded."""
        known = model.contract.known_as()
        for older in await read_fitting_releases(connection, current.model, known, MOST_FALLBACKS):
            if older.entry == current.entry or older.artifact == current.artifact:
                continue
            found = self._fetcher.get(model, older, now)
            if isinstance(found, Release):
                model.use_release(found)
            if not isinstance(found, Exception):
                return
            if (told := (older.model, older.entry)) not in self._told:
                self._told.add(told)
                log.error("release %s of %s is not served either: %s", older.release, older.model, found)


async def read_version(connection: Any) -> int | None:
    """The book's version, as `penstock.postgres.migrate.version` reads it."""
    try:
        if (found := await connection.fetchval(VERSION_QUERY)) is not None:
            return int(found)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        pass
    there = await connection.fetchval("SELECT to_regclass('app.release') IS NOT NULL")
    return BEFORE_VERSIONS if there else None


async def _warn_of_journals_end(connection: Any) -> None:
    """Log a warning while the journal has few days ahead: the service makes none, Dagster does."""
    days = await connection.fetchval(DAYS_AHEAD)
    if days < FEW_DAYS:
        log.warning(
            "the journal has partitions for %d more days, and nothing is answered after them: look at Dagster's "
            "retention_schedule, or run `penstock migrate`",
            days,
        )
