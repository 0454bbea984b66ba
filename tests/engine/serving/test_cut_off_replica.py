"""HAProxy asks another replica where a node had taken a whole request, and is cut off the network before it answers."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from benchmarks.chaos.nodes import Node, hindrance, nodes
from penstock.processes import free_port
from penstock.serving.on_ray.haproxy import SILENT_SECONDS, starter
from penstock.testing import wait_for

CONFIG = """global
    stats socket {place}/admin.sock mode 666 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 120s
    timeout server 30s
    option redispatch 1
    retry-on conn-failure empty-response
    retries 5
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    server cut_off {far}:20000 weight 256 check observe layer4 error-limit 3 on-error mark-down
    server there 127.0.0.1:{near} weight 1 check observe layer4 error-limit 3 on-error mark-down
"""
HANGS = """
import pathlib, socket, sys
server, kept = socket.create_server((sys.argv[1], 20000)), []
while True:
    kept.append(server.accept()[0])
    if kept[-1].recv(65536):
        pathlib.Path(sys.argv[2], "taken").touch()
"""


class Answers(BaseHTTPRequestHandler):
    """The other replica."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Node]:
    if reason := hindrance():
        pytest.skip(reason)
    with nodes(1, tmp_path) as made:
        yield made.nodes[0]


@pytest.mark.slow
def test_a_request_that_a_node_took_before_it_was_cut_off_is_answered_by_another_replica(
    far: Node, tmp_path: Path
) -> None:
    near, port, place = ThreadingHTTPServer(("127.0.0.1", 0), Answers), free_port(), tmp_path / "ha"
    place.mkdir()
    threading.Thread(target=near.serve_forever, daemon=True).start()
    hangs = subprocess.Popen(far.command([sys.executable, "-c", HANGS, far.address, str(tmp_path)]))
    script, config = place / "haproxy", place / "haproxy.cfg"
    script.write_text(starter(place, metrics_port=free_port(), stats_port=free_port()))
    config.write_text(CONFIG.format(place=place, port=port, far=far.address, near=near.server_address[1]))
    haproxy = subprocess.Popen(["sh", script, "-db", "-f", config])

    def cut_off() -> None:
        if wait_for((tmp_path / "taken").exists, 20):
            far.cut_off()

    cutting = threading.Thread(target=cut_off)
    cutting.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
            while not (tmp_path / "taken").exists():
                began = time.monotonic()
                try:
                    status = client.post("/", content=b"{}").status_code
                except httpx.ConnectError:
                    time.sleep(0.05)
        took = time.monotonic() - began
    finally:
        cutting.join()
        for process in (haproxy, hangs):
            process.kill()
            process.wait()
        near.shutdown()
    assert status == 200
    assert took < SILENT_SECONDS + 3
