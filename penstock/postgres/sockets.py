"""Options of the sockets to Postgres: the size of their buffers, and what becomes of unsent bytes."""

import os
import socket
import struct

SEND_BYTES = 1 << 20
"""The wanted size; the system may allow less. Linux wakes the sender of a unix socket when three quarters of the buffer
are empty, and the rest has to last until the sender, which has other work, comes back."""


def widen(descriptor: int) -> None:
    """Set a larger send buffer for a unix socket. That of a TCP socket grows by itself."""
    with socket.socket(fileno=os.dup(descriptor)) as own:
        if own.family == socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)


def forget_unsent(descriptor: int) -> None:
    """Let nothing be sent any more once a socket is closed, be it because its process was killed.

    Else the kernel sends what a node had not sent when it was cut off the network as soon as it can: Postgres runs a
    statement that was given up long ago.
    """
    with socket.socket(fileno=os.dup(descriptor)) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
