"""Stores what this version makes, as test data of all later ones: `python -m tests.engine.backup.store_version 0.2.0`.

Run once for each version, before it is released. Written are books, snapshots and artifacts in the form of `penstock
backup`, and the answers that the service gave.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow as pa

from penstock.backup.backup import back_up
from penstock.postgres.book import Books
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.publish.publish import publish_group
from penstock.serving.app import App
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.testing import create_book, uvicorn_thread
from tests.engine.backup.tanks import CONTRACT
from tests.engine.publishing import declared, write
from tests.engine.serving import toy

VERSIONS = Path(__file__).parent / "versions"
ANSWERS = "answers.json"
START = datetime(2026, 1, 1, tzinfo=UTC)
TANKS, HOURS, REQUESTS = 20, 5, 60


def main() -> None:
    """Make the two books in a server of their own, ask, and back them up."""
    (name,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        server = PostgresServer(folder / "pg", folder / "log", {**DEFAULTS, "fsync": "off"})
        server.start()
        try:
            store(server.url("postgres"), folder, VERSIONS / name)
        finally:
            server.remove()


def store(postgres: str, folder: Path, target: Path) -> None:
    """Fill both books, answer requests from TEST, and write the backup and the answers to a new folder."""
    both = Books(create_book(postgres, "test"), create_book(postgres, "prod"))
    settings = Settings(home=folder / "home", test_url=both.test.url, prod_url=both.prod.url)
    snapshots = SnapshotStore(settings.snapshots)
    tables = [declared("stored_tanks", ("name",)), declared("stored_levels", ("tank", "measured_at"))]
    contents = [tanks(), levels()]
    pairs = [
        (write(snapshots, rows.sort_by([(name, "ascending") for name in table.key]), table.name, table.key), table)
        for table, rows in zip(tables, contents, strict=True)
    ]
    list(publish_group(pairs, list(both), who="store_version", proven_in=both.test))
    for book in both:
        toy.release(book, settings.artifacts, folder, contract=CONTRACT)
    with client(settings) as http:
        answers = [(request, ask(http, request)) for request in requests()]
    back_up(both, settings.stores, target)
    (target / ANSWERS).write_bytes(msgspec.json.format(msgspec.json.encode(answers), indent=1))


def tanks() -> pa.Table:
    """A row for each tank."""
    numbers = range(TANKS)
    return pa.table(
        {
            "name": pa.array([f"t{n}" for n in numbers], pa.string()),
            "height": pa.array([5 + n / 7 for n in numbers], pa.float64()),
            "shape": pa.array(["round" if n % 2 else None if n % 5 else "square" for n in numbers], pa.string()),
        }
    )


def levels() -> pa.Table:
    """Hourly levels of each tank but t0."""
    pairs = [(n, hour) for n in range(1, TANKS) for hour in range(HOURS)]
    return pa.table(
        {
            "tank": pa.array([f"t{n}" for n, _ in pairs], pa.string()),
            "measured_at": pa.array([START + timedelta(hours=hour) for _, hour in pairs], pa.timestamp("us", "UTC")),
            "level": pa.array([1 + n / 3 + hour / 10 for n, hour in pairs], pa.float64()),
        }
    )


def requests() -> list[dict[str, Any]]:
    """Requests about every tank, three of each."""
    return [
        {"tank": f"t{n % TANKS}", "inflow": n * 1.7, "asked_at": f"2026-01-01T0{n % (HOURS + 1)}:30:00Z"}
        for n in range(REQUESTS)
    ]


def ask(http: httpx.Client, request: dict[str, Any]) -> dict[str, Any]:
    """What the service answers, without what differs each time, such as its id."""
    response = http.post(f"/models/{CONTRACT.model}/predict", json=request)
    answer = response.raise_for_status().json()
    return {name: answer[name] for name in ("prediction", "probabilities", "missing")}


@contextmanager
def client(settings: Settings) -> Iterator[httpx.Client]:
    """A client of the service of the model over the TEST book."""
    app = App(settings, settings.test_url, {CONTRACT.model: CONTRACT})
    with uvicorn_thread(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        yield http


if __name__ == "__main__":
    main()
