"""The ASGI application: routes to models, starts and stops what works behind them."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from penstock.contract import registry
from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import CardStore
from penstock.serving.http.exchange import ClientDisconnect, HttpRequest, HttpResponse, Receive, Send
from penstock.serving.http.problems import Problem
from penstock.serving.models.absent import AbsentModels
from penstock.serving.models.connections import DEFAULT, Connections
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes import open_inference
from penstock.serving.routes.explaining import Explanations
from penstock.serving.routes.keys import Keys
from penstock.serving.routes.metrics import Metrics
from penstock.serving.routes.pages import Pages
from penstock.serving.routes.reading import Reader
from penstock.serving.routes.routes import Routes
from penstock.serving.routes.telemetry import ModelCounts, log_request, recent_latency
from penstock.settings import Settings

PROBLEM = b"application/problem+json"
FIRST_READ_SECONDS = 5.0
"""Longest wait of a replica that starts for its first look at the book."""
FIRST_FETCH_SECONDS = 60.0
"""Longest wait of a replica that starts for a slow or failing artifact store. It gets no requests meanwhile; the other
replicas answer them."""
LOOK_SECONDS = 0.05
GC_THRESHOLD = 50_000
"""gc generation-0 threshold, above what one batch allocates, so a batch's objects die by refcount."""

log = logging.getLogger("penstock.serve")


class App:
    """One replica's application over one book.

    - `url`: of the book; empty for the dev book, with the newest candidates and lookups in the warehouse itself.
    - `contracts`: by model; the project's by default.
    - `connections`: the most that the replica may have to the book.
    - `models`: the names of those that are served; all by default. PenstockError for a name that no contract has.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        contracts: Mapping[str, Contract] | None = None,
        connections: int = DEFAULT,
        models: Sequence[str] = (),
    ) -> None:
        found = registry.read_contracts(settings.project) if contracts is None else registry.Contracts(dict(contracts))
        if models:
            for name in models:
                found.demand(name)
            found = registry.Contracts(
                {name: one for name, one in found.by_model.items() if name in models}, found.broken
            )
        store, cache = ArtifactStore(settings.artifacts), settings.artifact_cache
        self._connections = Connections(url, connections)
        self.models: dict[str, ServedModel]
        self.watcher: Watcher
        if url:
            self.models = {
                name: ServedModel(one, self._connections, settings.now) for name, one in found.by_model.items()
            }
            self.watcher = Watcher(url, self.models, store, cache)
        else:
            from penstock.serving.models.candidates import CandidateWatcher
            from penstock.serving.models.in_warehouse import direct_models

            self.models = direct_models(settings, found.by_model, self._connections)
            self.watcher = CandidateWatcher(self.models, store, cache)
        absent = AbsentModels(self.models, found.broken)
        self._counts = counts = {name: ModelCounts(model) for name, model in self.models.items()}
        self._reader = Reader(url)
        explanations = Explanations(self._reader, store, cache)
        pages = Pages(
            self.models,
            absent,
            self.watcher,
            Metrics(self.models, counts, self.watcher, settings.now),
            self._reader,
            explanations,
            CardStore(settings.artifacts),
            settings.now,
        )
        others = [*pages.routes(), *open_inference.OpenInference(self.models, absent, counts, self.watcher).routes()]
        keys = Keys(settings.api_keys_file, settings.outer_host)
        self._routes = Routes(keys, self.models, counts, explanations, others)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start watching, and wait a little for the first look at the book, and longer for a slow store."""
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        self._tasks = [asyncio.create_task(self.watcher.run())]
        for model in self.models.values():
            model.start()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.watcher.ready.wait(), FIRST_READ_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_FETCH_SECONDS):
                while self.watcher.awaits_store:
                    await asyncio.sleep(LOOK_SECONDS)

    async def demand(self, models: Iterable[str], seconds: float) -> None:
        """Wait until the book was read; PenstockError where one of these models cannot be served."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.watcher.ready.wait(), seconds)
        troubles = {name: self.models[name].trouble for name in models if name in self.models}
        if troubles := {name: trouble for name, trouble in troubles.items() if trouble}:
            found = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items())
            raise PenstockError("replica", expected="every served model to be served by this code", found=found)

    def latency(self, seconds: float) -> float:
        """The mean milliseconds of what was answered in the last `seconds`; 0 where nothing was."""
        return recent_latency(self._counts.values(), seconds)

    async def stop(self) -> None:
        """Stop everything that start() started."""
        for task in self._tasks:
            task.cancel()
        await self._reader.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(model.stop() for model in self.models.values()), return_exceptions=True)
        self._connections.stop()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            request = HttpRequest(scope, receive)
            began = time.perf_counter()
            try:
                response = await self._routes(request)
            except Problem as problem:
                response = _answer(problem, request)
            except ClientDisconnect:
                return
            except Exception:
                log.exception("request %s failed", request.id)
                response = _answer(Problem(500, "internal", "The service failed; its log says why."), request)
            await response.send(request, send)
            log_request(request, response.status, len(response.body), began)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        steps: dict[str, Callable[[], Awaitable[None]]] = {"startup": self.start, "shutdown": self.stop}
        for name, step in steps.items():
            await receive()
            await step()
            await send({"type": f"lifespan.{name}.complete"})


def _answer(problem: Problem, request: HttpRequest) -> HttpResponse:
    if f"{request.path}/".startswith(f"{open_inference.PREFIX}/"):
        return open_inference.failed(problem)
    return HttpResponse(problem.body(request.id), status=problem.status, kind=PROBLEM, headers=problem.headers)
