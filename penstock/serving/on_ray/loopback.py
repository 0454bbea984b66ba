"""On a loopback-only node, nothing of a replica listens beyond loopback: prevented before, and checked after it opened.

Ray Serve 2.60 binds a replica's own gRPC server to all interfaces, and the server takes pickled calls.
"""

import importlib
import logging
import os
import socket
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any

import psutil

from penstock.errors import PenstockError
from penstock.serving.on_ray import compat

ANY, LOOPBACK = "[::]", "127.0.0.1"

log = logging.getLogger("penstock.serve")


def bind_grpc_to_loopback() -> None:
    """Let the replica of this process bind its gRPC server to loopback. The server is opened after the constructor."""
    bind = compat.ADD_PORT.find()
    if bind is None:
        log.warning("Ray Serve has moved %s: %s", compat.ADD_PORT.path, compat.ADD_PORT.without)
        return
    module: Any = importlib.import_module(compat.ADD_PORT.module)
    module.add_port_to_grpc_server = lambda server, address: bind(server, address.replace(ANY, LOOPBACK))


def close_exposed() -> list[str]:
    """Close the listening sockets of this process that are not on loopback; returns their addresses.

    This replica then lacks what they were for: calls between deployments, of which Penstock makes none.

    Raises:
        PenstockError: one of them stays open.
    """
    closed = []
    for connection in _exposed():
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as own:
            own.shutdown(socket.SHUT_RDWR)  # the only way to end listening that another owner of the socket cannot undo
        closed.append(f"{connection.laddr.ip}:{connection.laddr.port}")
    if closed:
        log.warning("closed what Ray Serve had opened beyond loopback: %s", ", ".join(closed))
    if left := _exposed():
        raise PenstockError(
            "replica",
            expected="nothing that listens beyond loopback",
            found=", ".join(f"{one.laddr.ip}:{one.laddr.port}" for one in left),
            todo="Use the version of Ray that requirements/run.txt pins.",
        )
    return closed


def _exposed() -> list[Any]:
    listening = [c for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return [connection for connection in listening if not is_loopback(connection.laddr.ip)]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
