"""The routes: which path and method does what."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from penstock.releases.card_text import html
from penstock.releases.cards import CardStore
from penstock.serving.http.exchange import Request, Response
from penstock.serving.http.problems import Problem
from penstock.serving.models.absent import AbsentModels
from penstock.serving.models.served_model import ServedModel
from penstock.serving.models.watcher import Watcher
from penstock.serving.routes.describing import contract_document, model_state, readiness
from penstock.serving.routes.keys import Keys
from penstock.serving.routes.metrics import CONTENT_TYPE, Metrics
from penstock.serving.routes.open_inference import OpenInference
from penstock.serving.routes.openapi import openapi
from penstock.serving.routes.reading import Reader
from penstock.settings import Settings

Handler = Callable[..., Awaitable[Response]]

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


class Routes:
    """Finds and runs the handler of a request; Problem 401, 404 and 405 where that must not be."""

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        absent: AbsentModels,
        watcher: Watcher,
        url: str,
        settings: Settings,
    ) -> None:
        self._models = models
        self._absent = absent
        self._watcher = watcher
        self._settings = settings
        self._keys = Keys(settings)
        self._reader = Reader(url)
        self._cards = CardStore(settings.artifacts)
        self._metrics = Metrics(models, watcher, settings)
        self._openapi: bytes = b""
        self._predicting = {f"/models/{name}/predict": self._predict(model) for name, model in models.items()}
        table: list[tuple[str, str, Handler]] = [
            (r"/", "GET", self._page),
            (r"/docs", "GET", self._docs),
            (r"/openapi\.json", "GET", self._document),
            (r"/healthz", "GET", self._health),
            (r"/readyz", "GET", self._ready),
            (r"/metrics", "GET", self._measured),
            (r"/state", "GET", self._state),
            (r"/models", "GET", self._list),
            (r"/models/([^/]+)", "GET", self._describe),
            (r"/models/([^/]+)/card", "GET", self._card),
            (r"/models/([^/]+)/predict", "POST", self._unknown),
            (r"/models/([^/]+)/predictions", "GET", self._recent),
            (r"/models/([^/]+)/predictions/([^/]+)", "GET", self._journaled),
            *OpenInference(models, absent, self._infer, lambda: readiness(models, absent, watcher).ready).routes(),
        ]
        self._routes = [(re.compile(pattern), method, handler) for pattern, method, handler in table]

    async def __call__(self, request: Request) -> Response:
        """The response to a request."""
        self._keys.check(request)
        if request.method == "POST" and (predict := self._predicting.get(request.path)):
            return await predict(request)
        method = "GET" if request.method == "HEAD" else request.method
        found = [(name, handler, m) for p, name, handler in self._routes if (m := p.fullmatch(request.path))]
        for name, handler, match in found:
            if name == method:
                return await handler(request, *match.groups())
        if found:
            allowed = ", ".join(sorted({name for name, _, _ in found} | ({"HEAD"} if found[0][0] == "GET" else set())))
            detail = f"method: expected {allowed}, found {request.method}"
            raise Problem(405, "method-not-allowed", detail, headers=((b"allow", allowed.encode()),))
        raise Problem(404, "not-found", f"path: expected a route of /openapi.json, found {request.path[:200]!r}")

    async def stop(self) -> None:
        """Hang up."""
        await self._reader.stop()

    def _predict(self, model: ServedModel) -> Handler:
        count = self._metrics.of(model)

        async def predict(request: Request) -> Response:
            began = time.perf_counter()
            try:
                asked, many = model.decode(await request.json_body(), request.id)
                answers = await model.line.ask(asked, many=many)
            except Problem as problem:
                count.refused(problem.status)
                raise
            count.answered(time.perf_counter() - began, answers)
            return Response(b"[%b]" % b",".join(answers) if many else answers[0])

        return predict

    async def _infer(self, model: ServedModel, posted: list[Any], request_id: str) -> list[bytes]:
        """The answers to requests that came as tensors."""
        began = time.perf_counter()
        count = self._metrics.of(model)
        try:
            answers = await model.line.ask(model.decode.asked(posted, request_id, many=True), many=True)
        except Problem as problem:
            count.refused(problem.status)
            raise
        count.answered(time.perf_counter() - began, answers)
        return answers

    def _model(self, name: str) -> ServedModel:
        if name not in self._models:
            raise self._absent.problem(name)
        return self._models[name]

    async def _unknown(self, _: Request, name: str) -> Response:
        self._model(name)
        raise AssertionError  # models that are known have their own handler

    async def _page(self, _: Request) -> Response:
        return Response((STATIC / "page.html").read_bytes(), kind=HTML, headers=SAFE)

    async def _docs(self, _: Request) -> Response:
        return Response((STATIC / "docs.html").read_bytes(), kind=HTML, headers=SAFE)

    async def _document(self, _: Request) -> Response:
        self._openapi = self._openapi or openapi([model.contract for model in self._models.values()])
        return Response(self._openapi)

    async def _health(self, _: Request) -> Response:
        return Response(b'{"alive":true}')

    async def _ready(self, _: Request) -> Response:
        state = readiness(self._models, self._absent, self._watcher)
        retry = () if state.ready else ((b"retry-after", b"1"),)
        return Response(_encode(state), status=200 if state.ready else 503, headers=retry)

    async def _measured(self, _: Request) -> Response:
        return Response(self._metrics.text(), kind=CONTENT_TYPE)

    async def _state(self, _: Request) -> Response:
        return Response(_encode(self._metrics.summary()))

    async def _list(self, _: Request) -> Response:
        return Response(_encode([model_state(model, self._settings) for model in self._models.values()]))

    async def _describe(self, _: Request, name: str) -> Response:
        model = self._model(name)
        state: dict[str, Any] = {"state": model_state(model, self._settings), "contract": contract_document(model)}
        if model.release:
            entry = await self._reader.entry(name, model.release.entry)
            state["metrics"] = entry.metrics if entry else {}
            state["releases"] = await self._reader.newest_releases(name, RECENT)
        return Response(_encode(state))

    async def _card(self, _: Request, name: str) -> Response:
        release = self._model(name).release
        if release is None:
            raise Problem(404, "no-release", f"card of {name}: expected a release that is served, found none")
        card = await asyncio.to_thread(self._cards.get, release.digest)
        if card is None:
            detail = f"card of release {release.version}: expected one beside its artifact, found none"
            raise Problem(404, "no-such-card", detail)
        page = html(card, await self._reader.entry(name, release.entry))
        return Response(page.encode(), kind=HTML, headers=SAFE)

    async def _recent(self, _: Request, name: str) -> Response:
        self._model(name)
        return Response(_encode(await self._reader.recent(name, RECENT)))

    async def _journaled(self, _: Request, name: str, prediction: str) -> Response:
        self._model(name)
        found = await self._reader.prediction(name, prediction)
        if found is None:
            raise Problem(404, "no-such-prediction", f"id: expected a journaled prediction, found {prediction[:64]!r}")
        return Response(_encode(found))


_encode = msgspec.json.encode
