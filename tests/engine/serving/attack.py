"""Another machine, a network namespace here, tries every port and path of a running service without a key."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from benchmarks.chaos.nodes import nodes
from tests.engine.running import listening as sockets_of

PATHS = (
    "/",
    "/models",
    "/state",
    "/metrics",
    "/openapi.json",
    "/-/routes",
    "/-/Routes",
    "//-/routes",
    "/%2d/routes",
    "/-/x",
    "/healthz",
    "/-/healthz",
)
ATTACK = """
import http.client, json, socket, ssl, sys
host, served, ports, paths, ca = json.loads(sys.argv[1])
opened = []
for port in ports:
    try:
        socket.create_connection((host, port), 2).close()
        opened.append(port)
    except OSError:
        pass
if ca:
    trusting = ssl.create_default_context(cafile=ca)
    trusting.check_hostname = False
statuses = {}
for path in paths:
    if ca:
        asked = http.client.HTTPSConnection(host, served, timeout=10, context=trusting)
    else:
        asked = http.client.HTTPConnection(host, served, timeout=10)
    asked.request("GET", path)
    statuses[path] = asked.getresponse().status
print("found", json.dumps([opened, statuses]))
"""
WITHOUT_KEY = (
    dict.fromkeys(PATHS, 401)
    | dict.fromkeys(("/-/routes", "/-/Routes", "/-/x"), 404)
    | dict.fromkeys(("/healthz", "/-/healthz"), 200)
)
"""Path -> the status of who has no key."""


def listening(processes: Iterable[psutil.Process]) -> list[int]:
    """Every port at which one of them listens, at whatever address."""
    return sorted({address.port for address in sockets_of(processes)})


def attack(folder: Path, port: int, ports: list[int], authority: str = "") -> tuple[list[int], dict[str, int]]:
    """Which of the ports open from elsewhere, and path -> status at `port`, over HTTPS where an authority signed."""
    with nodes(1, folder) as made:
        asked = json.dumps([made.host, port, ports, PATHS, authority])
        said = made.nodes[0].run([sys.executable, "-c", ATTACK, asked], os.environ)
    opened, statuses = json.loads(said.partition("found ")[2])
    return opened, statuses
