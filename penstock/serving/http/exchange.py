"""Raw ASGI: reading a bounded body, sending a response."""

import asyncio
import gzip
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from penstock.serving.http.problems import Problem

LARGEST_BODY = 8 * 1024 * 1024
BODY_SECONDS = 30.0
"""Longest time from the first piece of a body to its last. A slower client would only hold a slot of the replica."""
SMALLEST_GZIPPED = 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class ClientDisconnect(Exception):
    """The client hung up."""


class HttpRequest:
    """One HTTP request: method, path, headers (lower case), id, and the body on demand."""

    __slots__ = ("_receive", "headers", "id", "method", "path", "query")

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        given = self.headers.get(b"x-request-id", b"")
        self.id = given.decode() if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()

    async def json_body(self, *, also: bytes = JSON) -> bytes:
        """The body.

        Raises:
            Problem: 408 for a body that does not come to its end, 413 over 8 MiB, 415 for a content type that is not
                JSON or `also`, or an encoding.
            ClientDisconnect: the client hung up.
        """
        kind = self.headers.get(b"content-type", JSON).split(b";")[0].strip().lower()
        if kind not in (JSON, also) and not kind.endswith(b"+json"):
            raise Problem(
                415,
                "unsupported-media-type",
                f"content-type: expected application/json, found {kind.decode('latin-1')}",
            )
        coding = self.headers.get(b"content-encoding", b"identity").lower()
        if coding != b"identity":
            raise Problem(
                415, "unsupported-media-type", f"content-encoding: expected none, found {coding.decode('latin-1')}"
            )
        length = self.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST_BODY:
            raise _too_large()
        body, more = await self._piece()
        if len(body) > LARGEST_BODY:
            raise _too_large()
        return b"".join([body, *await self._further_pieces(len(body))]) if more else body

    async def _further_pieces(self, size: int) -> list[bytes]:
        parts: list[bytes] = []
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    part, more = await self._piece()
                    parts.append(part)
                    size += len(part)
                    if size > LARGEST_BODY:
                        raise _too_large()
        except TimeoutError:
            detail = f"body: expected the whole body within {BODY_SECONDS:g} s, found {size} bytes. Send it again."
            raise Problem(408, "request-timeout", detail) from None
        return parts

    async def _piece(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)


class HttpResponse:
    """A whole response."""

    __slots__ = ("body", "headers", "kind", "status")

    def __init__(
        self, body: bytes, *, status: int = 200, kind: bytes = JSON, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.body = body
        self.status = status
        self.kind = kind
        self.headers = headers

    async def send(self, request: HttpRequest, send: Send) -> None:
        """Send it, compressed where that is wanted and worth it."""
        body = self.body
        headers = [(b"content-type", self.kind), (b"x-request-id", request.id.encode()), *self.headers]
        if len(body) >= SMALLEST_GZIPPED:
            headers.append((b"vary", b"accept-encoding"))
            if b"gzip" in request.headers.get(b"accept-encoding", b""):
                body = gzip.compress(body, 1)
                headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


def _too_large() -> Problem:
    return Problem(413, "body-too-large", f"body: expected at most {LARGEST_BODY} bytes, found more")
