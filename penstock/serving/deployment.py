"""The Ray Serve deployment: one replica is one App over one book."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray import serve
from ray.serve import Application

from penstock import settings
from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.serving.app import App
from penstock.serving.deploying.history import History
from penstock.serving.models.connections import DEFAULT, LEAST
from penstock.serving.on_ray import bypass, compat, loopback, scaling
from penstock.serving.routes.keys import reached_at
from penstock.serving.routes.telemetry import log_to_stderr
from penstock.settings import BookName

FIRST_READ_SECONDS = 60.0
SAMPLE_SECONDS = 1.0
CORRECT = "Correct serve_config.yaml."


@serve.deployment
@serve.ingress()
class Predictions:
    """The HTTP ingress. Replicas, limits and autoscaling stand in serve_config.yaml."""

    async def __init__(  # type: ignore[misc]  # Ray awaits it
        self,
        book: BookName,
        contracts: Mapping[str, Contract] | None = None,
        connections: int = DEFAULT,
        models: Sequence[str] = (),
    ) -> None:
        log_to_stderr()
        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray's own
        self._on_loopback = address == loopback.LOOPBACK
        self._checked = False
        if self._on_loopback:
            loopback.bind_grpc_to_loopback()
        settings.warn_of_unknown_variables()
        host = await asyncio.to_thread(compat.http_host)
        found = settings.load()
        self._settings = msgspec.structs.replace(found, http_host=reached_at(found.http_host, address, host))
        self._app = App(self._settings, self._settings.demand_url(book), contracts, connections, models)
        bypass.serve(self._app)

    def __serve_build_asgi_app__(self) -> App:
        """The ASGI application that Ray Serve calls, and starts and stops by its lifespan."""
        return self._app

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What autoscaling policies are told beside the number of requests. Ray calls it for each of its samples."""
        return {scaling.LATENCY: self._app.latency(SAMPLE_SECONDS)}

    async def check_health(self) -> None:
        """A replica is healthy while it answers; Postgres being away is no reason to replace it.

        Ray calls this for the first time after the replica's ports have opened, and before it gets a request. While a
        deploy rolls, a replica of its code that cannot serve what is served fails here, and so replaces none that can.
        """
        if self._checked:
            return
        if self._on_loopback:
            await asyncio.to_thread(loopback.close_exposed)
        roll = History(self._settings.home).roll()
        project = self._settings.project
        if roll and project and project.root == Path(roll.code).resolve():
            await self._app.demand(roll.models, FIRST_READ_SECONDS)
        self._checked = True


def build(args: dict[str, Any]) -> Application:
    """The application that serve_config.yaml names, by its `args`.

    - `book`: the book that its replicas read, `prod` by default.
    - `connections`: the Postgres connections that a replica has at most, whatever the number of models.
    - `models`: those that its replicas serve; all of the project by default.
    """
    book, connections = args.get("book", "prod"), args.get("connections", DEFAULT)
    models = args.get("models", [])
    if args.keys() - {"book", "connections", "models"} or book not in ("test", "prod"):
        raise PenstockError(
            "args", expected="book: test or book: prod, connections and models", found=str(args), todo=CORRECT
        )
    if type(connections) is not int or connections < LEAST:
        raise PenstockError("args", expected=f"connections: {LEAST} or more", found=repr(connections), todo=CORRECT)
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        raise PenstockError("args", expected="models: [NAME, …]", found=repr(models), todo=CORRECT)
    application: Application = Predictions.bind(book, None, connections, models)  # type: ignore[attr-defined]  # a Deployment
    return application
