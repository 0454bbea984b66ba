"""The routes: which path and method does what."""

from collections.abc import Awaitable, Callable, Mapping

from resources.settings import Settings
from serve_app.http import Request, Response
from serve_app.lines import MOST_ROWS
from serve_app.problems import Problem
from serve_app.releases import Watcher
from serve_app.served_model import ServedModel

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """Finds and runs the handler of a request; Problem 404 and 405 where there is none."""

    def __init__(self, models: Mapping[str, ServedModel], watcher: Watcher, url: str, settings: Settings) -> None:
        self._models = models
        self._watcher = watcher
        self._url = url
        self._settings = settings
        self._fixed: dict[tuple[str, str], Handler] = {}
        for name, model in models.items():
            self._fixed["POST", f"/models/{name}/predict"] = self._predict(model)

    async def __call__(self, request: Request) -> Response:
        """The response to a request."""
        handler = self._fixed.get((request.method, request.path))
        if handler is not None:
            return await handler(request)
        raise Problem(404, "not-found", f"path: expected a route, found {request.path!r}")

    def _predict(self, model: ServedModel) -> Handler:
        async def predict(request: Request) -> Response:
            asked, many = model.decode(await request.json_body(), request.id)
            if not many:
                return Response((await model.line.ask(asked))[0])
            answers: list[bytes] = []
            for start in range(0, len(asked), MOST_ROWS):
                answers += await model.line.ask(asked[start : start + MOST_ROWS], many=True)
            return Response(b"[" + b",".join(answers) + b"]")

        return predict
