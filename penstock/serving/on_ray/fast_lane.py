"""The short way into a replica: Ray Serve's slots are kept, its bookkeeping for each request is left out.

Ray Serve calls `middlewares` through RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH right before it starts the HTTP server
of a replica, and puts what it gives around it. Each request then takes a slot of its replica as Ray means it to, so
limits, draining and autoscaling see it, and goes straight to the application. Ray's request ids, contexts, spans,
access log and its own metrics of a request are left out: the application has its own (`/metrics`, the request log).
`docs/serving.md` says what that saves.

A slot is taken through private names of Ray Serve 2.60. Where they are missing, requests go Ray's way.
"""

import logging
from typing import Any

import uvicorn.config
from ray.serve._private.common import RequestMetadata, RequestProtocol
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from penstock.serving.http.exchange import Message, Receive, Send
from penstock.serving.on_ray import joined_writes

RAYS_OWN = "/-/"
NEEDED = ("_can_accept_request", "_track_queued_request", "_start_request", "_route_prefix")

log = logging.getLogger("penstock.serve")

_slot = RequestMetadata("", "", _request_protocol=RequestProtocol.HTTP, is_direct_ingress=True)
_served: list[ASGIApp] = []


def middlewares() -> list[Middleware]:
    """What Ray Serve puts around the HTTP servers of its replicas (and of its proxies, where it does nothing)."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = joined_writes.IMPORT_PATH
    return [Middleware(FastLane)]


def serve(app: ASGIApp) -> None:
    """Say which application this process' requests go to."""
    _served[:] = [app]


class FastLane:
    """ASGI: to the application in a slot of the replica, or Ray's way for what is not for the application."""

    def __init__(self, app: Any) -> None:
        self._rays_way = app
        self._replica = _replica_behind(app)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        replica = self._replica
        if (
            replica is None
            or not _served
            or scope["type"] != "http"
            or scope["path"].startswith(RAYS_OWN)
            or not replica._can_accept_request(_slot)
        ):
            await self._rays_way(scope, receive, send)
            return
        with replica._track_queued_request() as admitted:
            async with replica._start_request(_slot):
                admitted()
                await _served[0](scope, receive, send)


def _replica_behind(app: Any) -> Any | None:
    """The replica whose requests `app` takes, None for a proxy, a route below a prefix, or another Ray Serve."""
    replica = getattr(getattr(app, "_app", app), "__self__", None)
    if not all(hasattr(replica, name) for name in NEEDED):
        return None
    if getattr(replica, "_route_prefix", None) != "/":
        log.warning("the route prefix is not /, so requests take Ray Serve's own, slower way")
        return None
    return replica
