"""A store that speaks S3 (moto), behind a proxy that makes it slow, failing or lying."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

import fsspec
import pytest

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

Fault = Literal["", "slow", "failing", "breaking off", "lying"]
POLL_SECONDS = 0.01
NOT_HANDED_ON = {"transfer-encoding", "connection", "content-length", "date", "server"}


@dataclass
class FaultyStore:
    """A bucket by its URL. `fault` is what happens to each object that is read, whose key ends with `suffix`."""

    url: str
    fault: Fault = ""
    suffix: str = ".artifact"
    seconds: float = 0.0
    reads: list[str] = field(default_factory=list)

    def hits(self, method: str, path: str) -> bool:
        if method != "GET" or not path.partition("?")[0].endswith(self.suffix):
            return False
        self.reads.append(path)
        return bool(self.fault)


@cache
def moto_server() -> "ThreadedMotoServer":
    """One for all tests of the process, which it lives as long as: it takes half a second to stop."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    return server


@contextmanager
def faulty_store(environment: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    """A bucket that the environment's credentials and endpoint reach, while the context is open."""
    store = FaultyStore("s3://bucket/penstock")
    moto = moto_server()
    reset = http.client.HTTPConnection(*moto.get_host_and_port())
    reset.request("POST", "/moto-api/reset")  # it keeps its buckets in this process
    reset.getresponse().read()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store, moto.get_host_and_port()[1]))
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        environment.setenv(name, value)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir("bucket")
    type(files).clear_instance_cache()
    try:
        yield store
    finally:
        type(files).clear_instance_cache()
        proxy.shutdown()
        proxy.server_close()


def _handler(store: FaultyStore, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            hit = store.hits(self.command, self.path)
            if hit and store.fault == "failing":
                return self._send(500, {}, b"<Error><Code>InternalError</Code></Error>")
            if hit and store.fault == "slow":
                time.sleep(store.seconds)
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            content = response.read()
            sent = {name: value for name, value in response.getheaders() if name.lower() not in NOT_HANDED_ON}
            if hit and store.fault == "breaking off":
                self._send(response.status, sent, content[: len(content) // 2], length=len(content))
                self.close_connection = True
                return None
            if hit and store.fault == "lying":
                content = content[: len(content) // 2]
            length = response.getheader("content-length") if self.command == "HEAD" else None
            return self._send(response.status, sent, content, length=int(length) if length else None)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                chunks = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)
            return self.rfile.read(int(self.headers.get("content-length") or 0))

        def _send(self, status: int, headers: dict[str, str], content: bytes, *, length: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
