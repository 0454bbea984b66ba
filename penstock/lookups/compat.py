"""The private name of asyncpg that the serving side's connection uses."""

import socket
from typing import Any

TRANSPORT = "_transport"
"""Attribute of asyncpg.Connection: its asyncio transport. Without it, the socket keeps the system's send buffer, and a
long array waits for the event loop more often, and a statement that was given up on a node without network may be run
when the network is back."""


def socket_of(connection: Any) -> socket.socket | None:
    """The socket of an asyncpg connection, None if it cannot be reached."""
    transport = getattr(connection, TRANSPORT, None)
    found: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    return found
