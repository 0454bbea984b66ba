"""What uvicorn sends when its writes are coalesced: the same bytes, fewer pieces."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from penstock.serving.on_ray.coalescing import MOST_HELD_BYTES, CoalescingProtocol

LARGE = b"x" * (MOST_HELD_BYTES + 1)


async def pieces(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer with the pieces that the path names."""
    await receive()
    bodies = {"/small": [b"small"], "/large": [LARGE], "/slow": [b"one", b"two"]}[scope["path"]]
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", str(sum(map(len, bodies))).encode())],
        }
    )
    for body in bodies:
        await send({"type": "http.response.body", "body": body, "more_body": body is not bodies[-1]})
        await asyncio.sleep(0.05 if len(bodies) > 1 else 0)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(pieces, http=CoalescingProtocol, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


def answer(port: int, path: str, *, close: bool = False) -> list[bytes]:
    """What arrives, in the pieces in which it arrives."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        ending = "Connection: close\r\n" if close else ""
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n{ending}\r\n".encode())
        arrived: list[bytes] = []
        while True:
            arrived.append(connection.recv(1 << 20))
            if not arrived[-1] or (not close and _complete(b"".join(arrived))):
                return arrived


def _complete(response: bytes) -> bool:
    head, _, body = response.partition(b"\r\n\r\n")
    return len(body) == int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def test_head_and_body_arrive_in_one_piece(port: int) -> None:
    (whole,) = answer(port, "/small")
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nsmall")


def test_a_large_body_arrives_whole(port: int) -> None:
    assert b"".join(answer(port, "/large")).endswith(b"\r\n\r\n" + LARGE)


def test_a_body_in_parts_is_not_held_back(port: int) -> None:
    arrived = answer(port, "/slow")
    assert arrived[0].endswith(b"\r\n\r\none")
    assert arrived[1] == b"two"


def test_what_is_held_is_sent_before_the_connection_closes(port: int) -> None:
    assert b"".join(answer(port, "/small", close=True)).endswith(b"\r\n\r\nsmall")
