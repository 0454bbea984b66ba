"""Fetching releases beside serving: from the store into the node's cache, checked and loaded, in a thread."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from penstock.artifact import load as artifact
from penstock.errors import PenstockError
from penstock.journal.outcomes import class_names
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import CurrentRelease
from penstock.serving.answering.state import Release
from penstock.serving.models.served_model import ServedModel

RETRY_SECONDS = 10.0
SLOW_SECONDS = 10.0

log = logging.getLogger("penstock.serve")


class Fetcher:
    """Fetches each release once at a time, however slow the store is; nothing waits for it."""

    def __init__(self, store: ArtifactStore, cache: Path, arrived: Callable[[], None]) -> None:
        self._store = store
        self._cache = cache
        self._arrived = arrived
        self._fetching: dict[tuple[str, int], asyncio.Task[Release]] = {}
        self._failed: dict[tuple[str, int], tuple[Exception, float]] = {}

    def get(self, model: ServedModel, wanted: CurrentRelease, now: float) -> Release | Exception | None:
        """The release if it is there, or why it cannot be served; None while it is fetched, which begins here.

        `arrived` is called when there is something to get. What failed is tried again after RETRY_SECONDS.
        """
        key = wanted.model, wanted.entry
        task = self._fetching.get(key)
        if task is None:
            error, at = self._failed.get(key, (None, 0.0))
            if error is not None and now < at + RETRY_SECONDS:
                return error
            if error := unfitting(model, wanted):
                self._failed[key] = error, now
                return error
            task = self._fetching[key] = asyncio.create_task(self._fetch(model, wanted))
            task.add_done_callback(lambda _: self._arrived())
            return self._failed[key][0] if key in self._failed else None
        if not task.done():
            return self._failed[key][0] if key in self._failed else None
        del self._fetching[key]
        if (failure := task.exception()) is None:
            self._failed.pop(key, None)
            return task.result()
        if not isinstance(failure, Exception):
            raise failure
        self._failed[key] = failure, now
        return failure

    def stop(self) -> None:
        """Give up what is being fetched."""
        for task in self._fetching.values():
            task.cancel()

    @property
    def busy(self) -> bool:
        """Whether something is being fetched."""
        return bool(self._fetching)

    async def _fetch(self, model: ServedModel, wanted: CurrentRelease) -> Release:
        warning = asyncio.get_running_loop().call_later(
            SLOW_SECONDS,
            log.warning,
            "release %s of %s is still being fetched from %s; what was served before is served meanwhile",
            wanted.version,
            wanted.model,
            self._store.shown,
        )
        try:
            return await asyncio.to_thread(self._load, model, wanted)
        finally:
            warning.cancel()

    def _load(self, model: ServedModel, wanted: CurrentRelease) -> Release:
        loaded = artifact.load(self._store.fetch(wanted.artifact, self._cache))
        expected, found = model.contract.features, loaded.features
        if [(f.name, f.kind) for f in expected] != [(f.name, f.kind) for f in found]:
            raise PenstockError(
                f"features of artifact {wanted.artifact[:12]}…",
                expected=", ".join(feature.name for feature in expected),
                found=", ".join(feature.name for feature in found),
            )
        names = class_names(model.contract, loaded)
        if loaded.kind != model.contract.output.kind or (names and len(names) != len(loaded.classes)):
            raise PenstockError(
                f"output of artifact {wanted.artifact[:12]}…",
                expected=f"a {model.contract.output.kind} of {len(names)} classes",
                found=f"a {loaded.kind} of {len(loaded.classes)}",
            )
        return Release(wanted.model, wanted.entry, wanted.version, wanted.artifact, loaded)


def unfitting(model: ServedModel, wanted: CurrentRelease) -> PenstockError | None:
    """Why the code of a model cannot serve a release, whatever its artifact is."""
    if model.contract.is_of(wanted.contract):
        return None
    return PenstockError(
        f"contract of release {wanted.version}",
        expected=f"{model.contract_digest[:12]}… as this service runs",
        found=f"{wanted.contract[:12]}…",
        todo="`penstock deploy` the code that it was trained with, or train with this code.",
    )
