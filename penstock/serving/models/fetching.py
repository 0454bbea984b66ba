"""Fetching releases beside serving: from the store into the node's cache, checked and loaded, in a thread."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from penstock.artifact.load import load as load_artifact
from penstock.errors import PenstockError
from penstock.journal.predictions import class_names
from penstock.releases.artifacts import ArtifactStore, DamagedArtifactError
from penstock.releases.entry import CurrentRelease
from penstock.serving.answering.state import Release
from penstock.serving.models.served_model import ServedModel

RETRY_SECONDS = 10.0
SLOW_SECONDS = 10.0
LOAD_SECONDS = 15.0
"""So long a release that is being fetched is waited for before a fallback is served."""
AT_ONCE = 4

log = logging.getLogger("penstock.serve")


class Fetcher:
    """Fetches each release once at a time, however slow the store is; nothing waits for it.

    A store that never answers for some of the `models` leaves a thread to each other one.
    """

    def __init__(self, store: ArtifactStore, cache: Path, models: int, arrived: Callable[[], None]) -> None:
        self._store = store
        self._cache = cache
        self._arrived = arrived
        self._threads = ThreadPoolExecutor(models + AT_ONCE, "release")
        self._fetching: dict[tuple[str, int], asyncio.Task[Release]] = {}
        self._began: dict[tuple[str, int], float] = {}
        self._failed: dict[tuple[str, int], tuple[Exception, float]] = {}

    def get(self, model: ServedModel, wanted: CurrentRelease, now: float) -> Release | Exception | None:
        """The release if it is there, or why it cannot be served; None while it is fetched, which begins here.

        `arrived` is called when there is something to get. What failed is tried again after RETRY_SECONDS; what takes
        longer than LOAD_SECONDS is an error, and goes on.
        """
        key = wanted.model, wanted.entry
        task = self._fetching.get(key)
        if task is not None and task.done():
            return self._end(key, now)
        error, at = self._failed.get(key, (None, 0.0))
        if task is None and (error is None or now >= at + RETRY_SECONDS):
            if misfit := unfitting(model, wanted):
                self._failed[key] = misfit, now
                return misfit
            self._began[key] = now
            task = self._fetching[key] = asyncio.create_task(self._fetch(model, wanted))
            task.add_done_callback(lambda _: self._arrived())
        if error is None and task is not None and self._is_late(key):
            return PenstockError(
                f"artifact {wanted.artifact[:12]}…",
                expected="it from the artifact store",
                found=f"nothing after {LOAD_SECONDS:.0f} s; it is waited for",
            )
        return error

    def _end(self, key: tuple[str, int], now: float) -> Release | Exception:
        """What has become of a release that was fetched."""
        task = self._fetching.pop(key)
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
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether something is being fetched that is not late."""
        return not all(map(self._is_late, self._fetching))

    def awaits_store(self, model: str) -> bool:
        """Whether a release of a model is being fetched, or the store failed and is asked again."""
        failed = [error for (name, _), (error, _) in self._failed.items() if name == model]
        return any(name == model for name, _ in self._fetching) or any(map(_of_store, failed))

    def _is_late(self, key: tuple[str, int]) -> bool:
        return asyncio.get_running_loop().time() > self._began[key] + LOAD_SECONDS

    async def _fetch(self, model: ServedModel, wanted: CurrentRelease) -> Release:
        warning = asyncio.get_running_loop().call_later(
            SLOW_SECONDS,
            log.warning,
            "release %s of %s is still being fetched from %s; what was served before is served meanwhile",
            wanted.release,
            wanted.model,
            self._store.shown,
        )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._load, model, wanted)
        finally:
            warning.cancel()

    def _load(self, model: ServedModel, wanted: CurrentRelease) -> Release:
        loaded = load_artifact(self._store.fetch(wanted.artifact, self._cache))
        expected, found = model.contract.features, loaded.features
        if [(f.name, f.kind) for f in expected] != [(f.name, f.kind) for f in found]:
            raise PenstockError(
                f"features of artifact {wanted.artifact[:12]}…",
                expected=", ".join(feature.name for feature in expected),
                found=", ".join(feature.name for feature in found),
            )
        output, names = model.contract.output, class_names(model.contract, loaded)
        wide = output.kind == "regressor" and loaded.outputs != max(len(output.values), 1)
        if loaded.kind != output.kind or (names and len(names) != len(loaded.classes)) or wide:
            several = f"{len(output.values)} values" if output.values else f"{len(names)} classes"
            raise PenstockError(
                f"output of artifact {wanted.artifact[:12]}…",
                expected=f"a {output.kind} of {several}",
                found=f"a {loaded.kind} of {loaded.outputs if loaded.kind == 'regressor' else len(loaded.classes)}",
            )
        if loaded.scores != output.scores:
            said = ("probabilities", "decision scores")
            thing = f"output of artifact {wanted.artifact[:12]}…"
            raise PenstockError(thing, expected=said[output.scores], found=said[loaded.scores])
        return Release(wanted.model, wanted.entry, wanted.release, wanted.artifact, loaded)


def _of_store(error: Exception) -> bool:
    return isinstance(error, DamagedArtifactError) or not isinstance(error, PenstockError)


def unfitting(model: ServedModel, wanted: CurrentRelease) -> PenstockError | None:
    """Why the code of a model cannot serve a release, whatever its artifact is."""
    if model.contract.is_of(wanted.contract):
        return None
    return PenstockError(
        f"contract of release {wanted.release}",
        expected=f"{model.contract_digest[:12]}… as this service runs",
        found=f"{wanted.contract[:12]}…",
        todo="`penstock deploy` the code that it was trained with, or train with this code.",
    )
