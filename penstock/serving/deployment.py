"""The Ray Serve deployment: one replica is one App over one book."""

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from penstock import settings
from penstock.contract.contract import Contract
from penstock.serving.app import App
from penstock.serving.on_ray import bypass, loopback
from penstock.serving.routes.telemetry import log_to_stderr
from penstock.settings import BookName, book_url


@serve.deployment
@serve.ingress()
class Predictions:
    """The HTTP ingress. Replicas, limits and autoscaling stand in serve_config.yaml."""

    async def __init__(self, book: BookName, contracts: Mapping[str, Contract] | None = None) -> None:  # type: ignore[misc]  # Ray awaits it
        log_to_stderr()
        self._on_loopback = ray.util.get_node_ip_address() == loopback.LOOPBACK  # type: ignore[no-untyped-call]  # Ray's own
        self._checked = False
        if self._on_loopback:
            loopback.bind_grpc_to_loopback()
        settings.warn_of_unknown_variables()
        found = settings.load()
        self._app = App(found, book_url(found, book), contracts)
        bypass.serve(self._app)

    def __serve_build_asgi_app__(self) -> App:
        """The ASGI application that Ray Serve calls, and starts and stops by its lifespan."""
        return self._app

    async def check_health(self) -> None:
        """A replica is healthy while it answers; Postgres being away is no reason to replace it.

        Ray calls this for the first time after the replica's ports have opened, and before it gets a request.
        """
        if self._on_loopback and not self._checked:
            await asyncio.to_thread(loopback.close_exposed)
            self._checked = True


def build(args: dict[str, Any]) -> Application:
    """The application that serve_config.yaml names; `args` are its `args`."""
    application: Application = Predictions.bind(args.get("book", "prod"))  # type: ignore[attr-defined]  # a Deployment
    return application
