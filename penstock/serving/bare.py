"""The application under bare uvicorn, without Ray: the dev book, tests, and the limit that benchmarks compare with."""

import argparse

import uvicorn

from penstock import settings
from penstock.serving.app import App
from penstock.serving.models.connections import DEFAULT
from penstock.serving.routes.telemetry import log_to_stderr


def main() -> None:
    """Serve on loopback until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--book", choices=("test", "prod", "dev"), default="prod")
    parser.add_argument("--connections", type=int, default=DEFAULT, help="to the book, at most")
    options = parser.parse_args()
    found = settings.load()
    url = "" if options.book == "dev" else found.demand_url(options.book)
    run(App(found, url, connections=options.connections), "127.0.0.1", options.port)


def run(app: App, host: str, port: int) -> None:
    """Serve until interrupted."""
    log_to_stderr()
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
