"""The watcher of the dev book: keeps each model at its newest candidate that fits the code, whatever the gate says."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import CardStore
from penstock.releases.entry import CurrentRelease
from penstock.serving.models.direct_model import NO_RELEASE
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import POLL_SECONDS, Watcher

SERVES = "the dev book: the newest candidates, lookups in the warehouse, no journal, no gate"

log = logging.getLogger("penstock.serve")


class CandidateWatcher(Watcher):
    """Looks into the artifact store once a second. `connected` is whether that answers."""

    def __init__(self, models: Mapping[str, ServedModel], store: ArtifactStore, cache: Path) -> None:
        super().__init__("", models, store, cache)
        self.serves = SERVES
        self._cards = CardStore(store.url)
        self._known: dict[str, tuple[str, str]] = {}
        """Artifact -> its model and its contract, of every card that was read."""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._look()
                self.connected, self.trouble = True, ""
            except PenstockError as error:
                self.trouble = str(error)
            except OSError as error:
                log.warning("the artifact store does not answer: %r", error)
                self.connected = False
            if not self.fetching:
                self.ready.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), POLL_SECONDS)
            self._moved.clear()

    async def _look(self) -> None:
        seen: set[str] = set()
        for written, artifact in await asyncio.to_thread(self._cards.newest_first):
            if seen == self._models.keys():
                return
            if artifact not in self._known:
                self._known[artifact] = await asyncio.to_thread(self._read_card, artifact)
            model, contract = self._known[artifact]
            if model in seen or model not in self._models or not self._models[model].contract.is_of(contract):
                continue
            seen.add(model)
            entry = int(written * 1e6)  # another number for each candidate
            candidate = CurrentRelease(model, entry, NO_RELEASE, artifact, contract)
            await self._release(None, self._models[model], candidate, asyncio.get_running_loop().time())

    async def _fall_back(self, connection: Any, model: ServedModel, current: CurrentRelease, now: float) -> None:
        """An older candidate is not served instead."""

    def _read_card(self, artifact: str) -> tuple[str, str]:
        card = self._cards.get(artifact)
        return (card.model, card.contract) if card else ("", "")
