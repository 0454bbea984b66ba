"""The Ray Serve deployment: one replica is one App over one book."""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from penstock import settings
from penstock.contract.contract import Contract
from penstock.serving.app import App
from penstock.serving.on_ray import fast_lane
from penstock.serving.routes import request_log
from penstock.settings import BookName, book_url


@serve.deployment
@serve.ingress()
class Predictions:
    """The HTTP ingress. Replicas, limits and autoscaling stand in serve_config.yaml."""

    async def __init__(self, book: BookName, contracts: Mapping[str, Contract] | None = None) -> None:  # type: ignore[misc]  # Ray awaits it
        _stay_on_loopback()
        request_log.to_stderr()
        settings.warn_of_unknown_variables()
        found = settings.load()
        self._app = App(found, book_url(found, book), contracts)
        fast_lane.serve(self._app)

    def __serve_build_asgi_app__(self) -> App:
        """The ASGI application that Ray Serve calls, and starts and stops by its lifespan."""
        return self._app

    async def check_health(self) -> None:
        """A replica is well while it answers; Postgres being away is no reason to replace it."""
        await asyncio.sleep(0)


def build(args: dict[str, Any]) -> Application:
    """The application that serve_config.yaml names; `args` are its `args`."""
    application: Application = Predictions.bind(args.get("book", "prod"))  # type: ignore[attr-defined]  # a Deployment
    return application


def _stay_on_loopback() -> None:
    """On a loopback-only node, keep the replica's own gRPC server there as well.

    Ray Serve 2.60 binds it to all interfaces and lets nobody say otherwise, and it takes pickled calls. It is opened
    after the deployment's constructor, so the constructor calls this.
    """
    if ray.util.get_node_ip_address() != "127.0.0.1":  # type: ignore[no-untyped-call]  # Ray's own
        return
    replica: Any = importlib.import_module("ray.serve._private.replica")

    bind = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", "127.0.0.1"))
