"""uvicorn's HTTP protocol with write coalescing: the head and the body of a response are sent in one piece.

uvicorn hands the two to the event loop one after the other, and uvloop sends each at once: two system calls, two
packets, and a proxy behind it that wakes twice for every response.
"""

import asyncio
from typing import Any

from penstock.serving.on_ray.compat import http_tools_protocol

MOST_HELD_BYTES = 64 * 1024

HttpToolsProtocol = http_tools_protocol()


class CoalescingProtocol(HttpToolsProtocol):  # type: ignore[valid-type,misc]  # found at run time, see compat
    """HttpToolsProtocol whose writes of one turn of the event loop are sent together."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a new connection."""
        super().connection_made(CoalescingTransport(transport, asyncio.get_running_loop()))


class CoalescingTransport:
    """A transport that holds what is written until the running turn of the event loop ends."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send `data` at the end of the turn; long data at once, so that it is not copied."""
        if len(data) > MOST_HELD_BYTES:
            self._send()
            self._transport.write(data)
            return
        if not self._held:
            self._call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
