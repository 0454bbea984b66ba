"""The router: which path and method does what."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from penstock.serving.http.exchange import HttpRequest, HttpResponse
from penstock.serving.http.problems import Problem
from penstock.serving.models.served_model import ServedModel
from penstock.serving.routes.explaining import EXPLAIN, Explanations, read_wish
from penstock.serving.routes.keys import Keys
from penstock.serving.routes.telemetry import ModelCounts

Handler = Callable[..., Awaitable[HttpResponse]]


class Routes:
    """Finds and runs the handler of a request; Problem 401, 404 or 405 if there is none for it.

    `others` are pattern, method and handler of every route but those of predictions.
    """

    def __init__(
        self,
        keys: Keys,
        models: Mapping[str, ServedModel],
        counts: Mapping[str, ModelCounts],
        explanations: Explanations,
        others: Iterable[tuple[str, str, Handler]],
    ) -> None:
        self._keys = keys
        self._predict = {
            f"/models/{name}/predict": _predict(model, counts[name], explanations) for name, model in models.items()
        }
        self._routes = [(re.compile(pattern), method, handler) for pattern, method, handler in others]

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response to a request."""
        self._keys.check(request)
        if request.method == "POST" and (predict := self._predict.get(request.path)):
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


def _predict(model: ServedModel, counts: ModelCounts, explanations: Explanations) -> Handler:
    """The handler of `POST /models/{model}/predict`."""

    async def predict(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        with counts.counting_refusals():
            posted, explained = await request.json_body(), list[int]()
            if EXPLAIN in posted:
                posted, explained = read_wish(model, posted)
            body = model.decode(posted, request.id)
            answers = await model.answers(body.requests, is_array=body.is_array)
        counts.answered(began, answers)
        if explained:
            answers = await explanations.add(model, answers, explained)
        return HttpResponse(b"[%b]" % b",".join(answers) if body.is_array else answers[0])

    return predict
