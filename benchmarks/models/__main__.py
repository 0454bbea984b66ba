"""How load time, memory, connections and latency grow with the models: `python -m benchmarks.models`."""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median

import click
import httpx
import msgspec
import psutil
import psycopg

from benchmarks.models import declarations
from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.processes import free_port, memory
from penstock.settings import Settings

COUNTS = (1, 10, 40, 100)
ASKERS = 4
PATIENCE_SECONDS = 60.0


class Growth(msgspec.Struct, frozen=True):
    """The figures of one number of models.

    - `dagster_s`: CPU of Dagster's code server until it has loaded three tables and all assets for each model.
    - `ready_s`: from the start of a replica to all models answering from tables in memory.
    - `memory_mb`: of the replica then (PSS). `connections`: most of the replica that Postgres saw under load.
    - `answers_s`, `p50_ms`, `p99_ms`: of ASKERS clients, each of which asks one model after the other.
    """

    models: int
    dagster_s: float
    ready_s: float
    memory_mb: float
    connections: int
    answers_s: float
    p50_ms: float
    p99_ms: float


@click.command(epilog="Example: python -m benchmarks.models --count 1 --count 40 --seconds 3")
@click.option("--count", "counts", multiple=True, type=int, default=COUNTS, help="Numbers of models.")
@click.option("--seconds", default=5.0, show_default=True, help="Seconds of load for each number.")
def main(counts: tuple[int, ...], seconds: float) -> None:
    """Measure a project of each number of models: loaded by Dagster, and served by one replica without Ray."""
    click.echo("| " + " | ".join(Growth.__struct_fields__) + " |")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        server = PostgresServer(Path(folder) / "data", Path(folder) / "log", {**DEFAULTS, "fsync": "off"})
        server.start()
        try:
            for count in counts:
                found = measure(server, Path(folder), count, seconds)
                click.echo("| " + " | ".join(str(value) for value in msgspec.structs.astuple(found)) + " |")
        finally:
            server.remove()


def measure(server: PostgresServer, folder: Path, count: int, seconds: float) -> Growth:
    """The figures of so many models, over a book of their own."""
    loading = [sys.executable, "-m", "benchmarks.models.dagster_load", str(count)]
    dagster = float(subprocess.run(loading, check=True, capture_output=True, text=True).stdout)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE models_{count}".encode())
    book = Book("test", server.url(f"models_{count}"))
    book.migrate()
    settings, made = Settings(home=folder / f"home_{count}"), declarations.contracts(count)
    declarations.release(book, settings.artifacts, folder, made)
    port, began = free_port(), time.monotonic()
    command = [sys.executable, "-m", "benchmarks.models.replica", str(count), str(port), book.url, str(settings.home)]
    replica = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            wait_for_tables(http)
            ready = time.monotonic() - began
            ask_all(http, list(made), 1.0)
            with ThreadPoolExecutor(ASKERS + 1) as threads:
                lists = [threads.submit(ask_all, http, list(made), seconds, n) for n in range(ASKERS)]
                most = threads.submit(most_connections, book, seconds).result()
            taken = sorted(one for found in lists for one in found.result())
        held = memory([psutil.Process(replica.pid)]) / 1e6
    finally:
        replica.terminate()
        replica.wait()
    return Growth(
        count,
        dagster,
        round(ready, 1),
        round(held, 1),
        most,
        round(len(taken) / seconds),
        round(median(taken) * 1e3, 1),
        round(taken[len(taken) * 99 // 100] * 1e3, 1),
    )


def wait_for_tables(http: httpx.Client) -> None:
    """Wait until every model has its release, and its tables in memory."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            models = http.get("/models").json()
            if models and all(one["ready"] and all(t["in_memory"] for t in one["tables"]) for one in models):
                return
        time.sleep(0.1)
    raise TimeoutError("not every model is served from memory")


def ask_all(http: httpx.Client, names: list[str], seconds: float, first: int = 0) -> list[float]:
    """Ask one model after the other; the seconds of each answer."""
    until, taken, n = time.monotonic() + seconds, [], first
    while time.monotonic() < until:
        began = time.monotonic()
        body = {"shop": n % declarations.ROWS, "amount": n}
        answer = http.post(f"/models/{names[n % len(names)]}/predict", json=body)
        answer.raise_for_status()
        taken.append(time.monotonic() - began)
        n += ASKERS + 1
    return taken


def most_connections(book: Book, seconds: float) -> int:
    """The most connections of the replica that its server has had within some seconds."""
    most, until = 0, time.monotonic() + seconds
    with book.connect() as connection:
        while time.monotonic() < until:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
            most = max(most, int(row[0]) if row else 0)
            connection.rollback()
            time.sleep(0.05)
    return most


if __name__ == "__main__":
    main()
