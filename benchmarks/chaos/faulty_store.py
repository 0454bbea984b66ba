"""A store that speaks S3 (moto), and is slow, fails or breaks off when a file says so.

`python -m benchmarks.chaos.faulty_store HOST PORT FILE`.
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

Fault = Literal["", "slow", "failing", "breaking off"]
SLOW_SECONDS = 22.0
FAILED = b"<Error><Code>InternalError</Code></Error>"


class FaultyStore:
    """A WSGI application: moto's, but for the objects that are read while `file` names a fault."""

    def __init__(self, file: Path) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._file = file
        self._store = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        artifact = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(".artifact")
        fault = self._file.read_text() if artifact else ""
        if fault == "failing":
            start_response("500 Internal Server Error", [("Content-Length", str(len(FAILED)))])
            return [FAILED]
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        answered = self._store(environ, start_response)
        if fault == "breaking off":
            whole = b"".join(answered)
            return [whole[: len(whole) // 2]]
        return answered  # type: ignore[no-any-return]  # moto's


def main() -> None:
    """Serve until killed."""
    from werkzeug.serving import run_simple

    host, port, file = sys.argv[1:]
    run_simple(host, int(port), FaultyStore(Path(file)), threaded=True)


if __name__ == "__main__":
    main()
