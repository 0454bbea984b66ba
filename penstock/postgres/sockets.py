"""The sockets on which much is sent to Postgres."""

import os
import socket

SEND_BYTES = 1 << 20
"""Asked for; the system gives what it allows. Linux wakes the sender of a unix socket only when three quarters of
the buffer are empty: what is left has to last until the sender, who has other work, comes back."""


def widen(descriptor: int) -> None:
    """A larger send buffer for a unix socket; that of TCP grows by itself."""
    with socket.socket(fileno=os.dup(descriptor)) as own:
        if own.family == socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
