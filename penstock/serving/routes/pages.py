"""The routes that show: pages, documents, states of this replica, and what its book holds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from penstock.releases.card_text import html
from penstock.releases.cards import CardStore
from penstock.serving.http.exchange import HttpRequest, HttpResponse
from penstock.serving.http.problems import Problem
from penstock.serving.models.absent import AbsentModels
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes.describing import contract_document, model_state, readiness
from penstock.serving.routes.explaining import Explanations
from penstock.serving.routes.metrics import CONTENT_TYPE, Metrics
from penstock.serving.routes.openapi import openapi
from penstock.serving.routes.reading import Reader

HTML = b"text/html; charset=utf-8"
STATIC = Path(__file__).parent
RECENT = 20
SAFE = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:;"
        b" style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'",
    ),
    (b"x-content-type-options", b"nosniff"),
)


class Pages:
    """The handlers of these routes."""

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        absent: AbsentModels,
        watcher: Watcher,
        metrics: Metrics,
        reader: Reader,
        explanations: Explanations,
        cards: CardStore,
        now: Callable[[], datetime],
    ) -> None:
        self._models = models
        self._absent = absent
        self._watcher = watcher
        self._metrics = metrics
        self._now = now
        self._reader = reader
        self._explanations = explanations
        self._cards = cards
        self._openapi: tuple[frozenset[str], bytes] = (frozenset(), b"")

    def routes(self) -> list[tuple[str, str, Callable[..., Awaitable[HttpResponse]]]]:
        """Pattern, method and handler of each route."""
        return [
            (r"/", "GET", self._page),
            (r"/docs", "GET", self._docs),
            (r"/openapi\.json", "GET", self._document),
            (r"/healthz", "GET", self._health),
            (r"/readyz", "GET", self._ready),
            (r"/metrics", "GET", self._prometheus),
            (r"/state", "GET", self._state),
            (r"/models", "GET", self._list),
            (r"/models/([^/]+)", "GET", self._describe),
            (r"/models/([^/]+)/card", "GET", self._card),
            (r"/models/([^/]+)/predict", "POST", self._unknown),
            (r"/models/([^/]+)/predictions", "GET", self._recent),
            (r"/models/([^/]+)/predictions/([^/]+)", "GET", self._prediction),
            (r"/models/([^/]+)/predictions/([^/]+)/contributions", "GET", self._contributions),
        ]

    def _model(self, name: str) -> ServedModel:
        if name not in self._models:
            raise self._absent.problem(name)
        return self._models[name]

    async def _unknown(self, _: HttpRequest, name: str) -> HttpResponse:
        self._model(name)
        raise AssertionError  # the router has a handler for each model that is known

    async def _page(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse((STATIC / "page.html").read_bytes(), kind=HTML, headers=SAFE)

    async def _docs(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse((STATIC / "docs.html").read_bytes(), kind=HTML, headers=SAFE)

    async def _document(self, _: HttpRequest) -> HttpResponse:
        explaining = frozenset(
            name for name, one in self._models.items() if one.release and one.release.artifact.explains
        )
        if not self._openapi[1] or self._openapi[0] != explaining:
            self._openapi = explaining, openapi([model.contract for model in self._models.values()], explaining)
        return HttpResponse(self._openapi[1])

    async def _health(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(b'{"alive":true}')

    async def _ready(self, _: HttpRequest) -> HttpResponse:
        state = readiness(self._models, self._absent, self._watcher)
        retry = () if state.ready else ((b"retry-after", b"1"),)
        return HttpResponse(_encode(state), status=200 if state.ready else 503, headers=retry)

    async def _prometheus(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(self._metrics.text(), kind=CONTENT_TYPE)

    async def _state(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(_encode(self._metrics.summary()))

    async def _list(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(_encode([model_state(model, self._now()) for model in self._models.values()]))

    async def _describe(self, _: HttpRequest, name: str) -> HttpResponse:
        model = self._model(name)
        state: dict[str, Any] = {"state": model_state(model, self._now()), "contract": contract_document(model)}
        if model.release:
            entry = await self._reader.entry(name, model.release.entry)
            state["metrics"] = entry.metrics if entry else {}
            state["releases"] = await self._reader.newest_releases(name, RECENT)
        return HttpResponse(_encode(state))

    async def _card(self, _: HttpRequest, name: str) -> HttpResponse:
        release = self._model(name).release
        if release is None:
            raise Problem(404, "no-release", f"card of {name}: expected a release that is served, found none")
        card = await asyncio.to_thread(self._cards.get, release.digest)
        if card is None:
            detail = f"card of release {release.number}: expected one beside its artifact, found none"
            raise Problem(404, "no-such-card", detail)
        page = html(card, await self._reader.entry(name, release.entry))
        return HttpResponse(page.encode(), kind=HTML, headers=SAFE)

    async def _recent(self, _: HttpRequest, name: str) -> HttpResponse:
        self._model(name)
        return HttpResponse(_encode(await self._reader.recent(name, RECENT)))

    async def _prediction(self, _: HttpRequest, name: str, prediction: str) -> HttpResponse:
        self._model(name)
        found = await self._reader.prediction(name, prediction)
        if found is None:
            raise Problem(404, "no-such-prediction", f"id: expected a journaled prediction, found {prediction[:64]!r}")
        return HttpResponse(_encode(found))

    async def _contributions(self, _: HttpRequest, name: str, prediction: str) -> HttpResponse:
        found = await self._explanations.of(self._model(name), prediction)
        if found is None:
            raise Problem(404, "no-such-prediction", f"id: expected a journaled prediction, found {prediction[:64]!r}")
        return HttpResponse(_encode(found))


_encode = msgspec.json.encode
