"""The application under bare uvicorn, without Ray: for tests, and as the limit that benchmarks compare with."""

import argparse

import uvicorn

from penstock import settings
from penstock.serving.app import App
from penstock.serving.models.connections import DEFAULT
from penstock.serving.routes.telemetry import log_to_stderr
from penstock.settings import book_url


def main() -> None:
    """Serve on loopback until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--book", choices=("test", "prod"), default="prod")
    parser.add_argument("--connections", type=int, default=DEFAULT, help="to the book, at most")
    options = parser.parse_args()
    found = settings.load()
    log_to_stderr()
    uvicorn.run(
        App(found, book_url(found, options.book), connections=options.connections),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
