"""ASGI middleware that bypasses Ray Serve's bookkeeping for each request; a request still takes a slot of its replica.

- Ray Serve calls `middlewares` through RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH right before it starts the HTTP server
  of a replica, and wraps the server's application in what it returns.
- Each request takes a slot as Ray means it to, so limits, draining and autoscaling see it, and goes straight to the
  application.
- Ray's request ids, contexts, spans, access log and metrics of a request are left out: the application has its own
  (`/metrics`, the request log). `docs/serving.md` says what that saves.
"""

import logging
from http import HTTPStatus
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp

from penstock.serving.http.exchange import Message, Receive, Send
from penstock.serving.http.problems import Problem
from penstock.serving.on_ray import compat
from penstock.serving.on_ray.haproxy import REFUSALS

OF_RAY, RAYS_PATH = "/-/", "/-/healthz"
"""What HAProxy asks. Ray would also say its routes, to whoever asks without a key."""
COALESCING = "penstock.serving.on_ray.coalescing:CoalescingProtocol"

log = logging.getLogger("penstock.serve")

_served: list[ASGIApp] = []
"""The application of this process. Ray calls `middlewares` without an argument, so there is no other way to hand it."""


def middlewares() -> list[Middleware]:
    """The middlewares of the HTTP servers of replicas, and of proxies, where the bypass does nothing."""
    if not compat.use_http_protocol(COALESCING):
        log.warning("uvicorn has moved its HTTP protocol: %s", compat.HTTP_TOOLS.without)
    return [Middleware(Bypass)]


def serve(app: ASGIApp) -> None:
    """Say which application this process' requests go to."""
    _served[:] = [app]


class Bypass:
    """Hands a request to the application in a slot of the replica; to Ray Serve what is not for the application."""

    def __init__(self, app: Any) -> None:
        self._ray_serve = app
        self._slots = compat.slots(app)
        prefix = compat.route_prefix(app)
        if self._slots is not None and prefix is None:
            log.warning("the route prefix is not known: %s", compat.RAYS_WAY)
            self._slots = None
        self._prefix = prefix or "/"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        slots = self._slots
        if (
            slots is None
            and scope["type"] == "http"
            and scope["path"].startswith(OF_RAY)
            and scope["path"] != RAYS_PATH
        ):
            await _refuse(send)
        elif (
            slots is None
            or not _served
            or scope["type"] != "http"
            or scope["path"] == RAYS_PATH
            or not scope["path"].startswith(self._prefix)
            or not slots.can_accept(slots.metadata)
        ):
            await self._ray_serve(scope, receive, send)
        else:
            with slots.track_queued() as admitted:
                async with slots.start(slots.metadata):
                    admitted()
                    await _served[0](scope, receive, send)


async def _refuse(send: Send) -> None:
    """The answer of HAProxy, from a proxy that Ray keeps beside it."""
    status = HTTPStatus.NOT_FOUND
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": Problem(status, *REFUSALS[status]).body("")})
