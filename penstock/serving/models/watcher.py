"""The watcher: keeps a replica at the releases and snapshots that are current in its book."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.artifact import load as artifact
from penstock.errors import PenstockError
from penstock.journal import journal
from penstock.journal.outcomes import class_names
from penstock.lookups.connection import connect
from penstock.postgres.pointer import read_pointers
from penstock.releases.artifacts import ArtifactStore
from penstock.serving.answering.serving import Release
from penstock.serving.models.served_model import ServedModel

CHANNEL = "penstock"
POLL_SECONDS = 1.0
AWAY_SECONDS = 0.25
RETRY_SECONDS = 10.0
JOURNAL_SECONDS = 3600.0

log = logging.getLogger("penstock.serve")


class Watcher:
    """Reads the pointers at start, at every notification, and once a second in case one was lost."""

    def __init__(self, url: str, models: Mapping[str, ServedModel], store: ArtifactStore, cache: Path) -> None:
        self.connected = False
        self.ready = asyncio.Event()
        """Set once the pointers were read for the first time."""
        self._url = url
        self._models = models
        self._store = store
        self._cache = cache
        self._moved = asyncio.Event()
        self._failed: dict[str, tuple[int, float]] = {}
        self._journal_at = 0.0

    async def run(self) -> None:
        """Watch until cancelled; connect again whenever Postgres goes away."""
        try:
            await self._run()
        finally:
            for model in self._models.values():
                await model.tables.stop()

    async def _run(self) -> None:
        while True:
            connection = None
            try:
                connection = await connect(self._url, application_name="penstock watcher")
                await connection.add_listener(CHANNEL, lambda *_: self._moved.set())
                while True:
                    self._moved.clear()
                    async with asyncio.timeout(5):
                        await self._read(connection)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), POLL_SECONDS)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if self.connected:
                    log.warning("the book went away: %r", error)
                self.connected = False
                await asyncio.sleep(AWAY_SECONDS)
            finally:
                if connection is not None:
                    connection.terminate()

    async def _read(self, connection: Any) -> None:
        pointers = await read_pointers(connection)
        records = await connection.fetch("SELECT model, entry, version, artifact, contract FROM app.current_release")
        now = asyncio.get_running_loop().time()
        if now >= self._journal_at:
            await connection.execute("SELECT app.prepare_journal(), app.retire_journal($1)", journal.KEEP_DAYS)
            self._journal_at = now + JOURNAL_SECONDS
        for model in self._models.values():
            model.use_pointers(pointers)
        for record in records:
            if record["model"] in self._models:
                await self._release(self._models[record["model"]], record, now)
        self.connected = True
        self.ready.set()

    async def _release(self, model: ServedModel, record: Any, now: float) -> None:
        """Take up a release, or keep the old one and say why; a refused one is tried again after a while."""
        name, entry, version = record["model"], record["entry"], record["version"]
        if model.release is not None and model.release.entry == entry:
            model.refused = {}
            return
        failed, at = self._failed.get(name, (0, 0.0))
        if failed == entry and now < at + RETRY_SECONDS:
            return
        try:
            if record["contract"] != model.contract_digest:
                raise PenstockError(
                    f"contract of release {version}",
                    expected=f"{model.contract_digest[:12]}… as this service runs",
                    found=f"{record['contract'][:12]}…",
                    todo="Deploy the code that the release was trained with, or train with this code.",
                )
            model.use_release(await asyncio.to_thread(self._load, model, record))
        except Exception as error:
            log.error("release %s of %s is not served: %s", version, name, error)
            self._failed[name] = (entry, now)
            model.refuse_release(version, str(error))

    def _load(self, model: ServedModel, record: Any) -> Release:
        loaded = artifact.load(self._store.fetch(record["artifact"], self._cache))
        wanted, found = model.contract.features, loaded.features
        if [(f.name, f.kind) for f in wanted] != [(f.name, f.kind) for f in found]:
            raise PenstockError(
                f"features of artifact {record['artifact'][:12]}…",
                expected=", ".join(feature.name for feature in wanted),
                found=", ".join(feature.name for feature in found),
            )
        names = class_names(model.contract, loaded)
        if loaded.kind != model.contract.output.kind or (names and len(names) != len(loaded.classes)):
            raise PenstockError(
                f"output of artifact {record['artifact'][:12]}…",
                expected=f"a {model.contract.output.kind} of {len(names)} classes",
                found=f"a {loaded.kind} of {len(loaded.classes)}",
            )
        return Release(record["model"], record["entry"], record["version"], record["artifact"], loaded)
