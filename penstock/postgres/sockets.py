"""The size of the buffers of sockets on which much is sent to Postgres."""

import os
import socket

SEND_BYTES = 1 << 20
"""The wanted size; the system may allow less. Linux wakes the sender of a unix socket when three quarters of the buffer
are empty, and the rest has to last until the sender, which has other work, comes back."""


def widen(descriptor: int) -> None:
    """Set a larger send buffer for a unix socket. That of a TCP socket grows by itself."""
    with socket.socket(fileno=os.dup(descriptor)) as own:
        if own.family == socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
