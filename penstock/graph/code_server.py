"""A code server of Dagster that comes back by itself: `python -m penstock.graph.code_server`, with the options of
`dagster code-server start`.

- Dagster's own loads the code in a process of its own, and goes on without it, answering errors, when that one is lost.
  It is told here to load the code again.
- When it ends itself after it had answered, it is started again.
"""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from types import FrameType

import grpc

PING, RELOAD = "/api.DagsterApi/Ping", "/api.DagsterApi/ReloadCode"
"""Their requests have no fields: no bytes at all."""
EVERY, PATIENCE, LOADING, ENDING = 2.0, 30.0, 300.0, 10.0
FAILURES = 2
OPTIONS = (("grpc.max_reconnect_backoff_ms", 2000),)


def main() -> int:
    """Serve until TERM or Ctrl-C; the status of a code server that never answered, which does not start again."""
    options = sys.argv[1:]
    given = dict(pairwise(options))
    host = given.get("-h", given.get("--host", "127.0.0.1")).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    place = f"{host}:{given.get('-p', given.get('--port', ''))}"
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    while True:
        server = subprocess.Popen([sys.executable, "-m", "dagster", "code-server", "start", *options])  # noqa: S603
        try:
            if not _watch(server, place):
                return server.returncode or 1
        finally:
            _stop(server)
        print("The code server ended. It is started again.", flush=True)
        time.sleep(EVERY)


def _watch(server: "subprocess.Popen[bytes]", place: str) -> bool:
    """Wait for the end of a code server, and let it load the code again when that is lost; whether it ever answered."""
    answered, failed = False, 0
    with grpc.insecure_channel(place, OPTIONS) as channel:
        ping, reload = channel.unary_unary(PING), channel.unary_unary(RELOAD)
        while server.poll() is None:
            time.sleep(EVERY)
            try:
                ping(b"", timeout=PATIENCE)
                answered, failed = True, 0
            except grpc.RpcError as error:
                answered = answered or error.code() is grpc.StatusCode.UNKNOWN  # it is there, without its code
                failed += answered
            if failed >= FAILURES:
                print("The process with the code is lost. The code is loaded again.", flush=True)
                with suppress(grpc.RpcError):
                    reload(b"", timeout=LOADING)
                failed = 0
    return answered


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(ENDING)
    except subprocess.TimeoutExpired:
        server.kill()


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
