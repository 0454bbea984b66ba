"""`penstock serve`: the service alone, in the foreground, as a container runs it."""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from penstock.serving.app import App

SECONDS = 0.5
LOGS = ("ray/session_latest/logs/worker-*.err", "ray/session_latest/logs/serve/*.log")
"""Below the folder of Ray: what replicas, the controller and proxies write."""


@click.command(epilog="Example: PENSTOCK_HTTP_HOST=0.0.0.0 penstock serve")
def serve() -> None:
    """Serve the project in the foreground until TERM or Ctrl-C, with every log on standard output.

    Starts a Ray head of its own and nothing else: no Dagster, no first prediction. The books are those of the settings;
    until they have a release, predictions are answered 503.

    With PENSTOCK_BOOK=dev it serves the dev book, in one process without Ray and Postgres: the newest candidates, with
    lookups in the warehouse itself; nothing is journaled.
    """
    from penstock.cli.commands.deploy import told
    from penstock.errors import PenstockError
    from penstock.serving.deploying.deploy import Rollout
    from penstock.serving.on_ray.cluster import RayCluster
    from penstock.serving.on_ray.environment import folder
    from penstock.settings import load

    settings = load()
    if settings.book == "dev":
        from penstock.serving.app import App

        _serve_dev(App(settings, ""), settings.http_host, settings.http_port)
        return
    settings.demand_url("prod")  # refuses before anything starts
    cluster, ended = RayCluster(settings), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        cluster.start()
        logs = Logs(folder(settings.home))
        click.echo(told(Rollout(settings).deploy()))
        click.echo(f"Serving at {settings.service_url}.")
        while not ended.wait(SECONDS):
            logs.show()
            if cluster.find() is None:
                raise PenstockError(
                    "Ray head", expected="to run", found="it ended", todo=f"See {settings.home / 'logs'}."
                )
    finally:
        cluster.stop()
    click.echo("Stopped.")


def _serve_dev(app: "App", host: str, port: int) -> None:
    from penstock.serving.bare import run
    from penstock.serving.models.candidates import SERVES

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends, then raises the signal again
    click.echo(f"Serving at http://{host}:{port}: {SERVES}.")
    run(app, host, port)
    click.echo("Stopped.")


class Logs:
    """The files of LOGS below a folder, each shown from where it was last read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def show(self) -> None:
        """Write what is new to standard output, whole lines only, each with the name of its file."""
        out = sys.stdout.buffer
        for path in sorted(path for pattern in LOGS for path in self._folder.glob(pattern)):
            self._show(path, out)
        out.flush()

    def _show(self, path: Path, out: BinaryIO) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = self._read.get(path, 0) + len(whole)
        for line in whole.splitlines(keepends=True):
            out.write(path.stem[:24].encode() + b" | " + line)
