"""Publishing against its limit, pandas and dlt, interleaved in one run."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.publish.contestants import (
    Trial,
    dlt_load,
    dlt_python,
    limit,
    pandas_to_sql,
    penstock,
    to_sql_rows,
    write_ready_made,
)
from benchmarks.publish.report import DLT, EXTRACTED, LIMIT, PUBLISHED, TO_SQL, VERIFIED, WHOLE, Comparison
from benchmarks.publish.tables import write_flights, write_synthetic
from penstock.postgres.book import Book
from penstock.postgres.server import PostgresServer


def compare_all(rows: int, larger: int, rounds: int, dsn: str | None, *, dlt: bool, as_json: bool) -> None:
    """Flights and a synthetic table of `rows` rows, `rounds` rounds of Penstock and the limit in turn, one round of
    pandas and dlt between them; then the memory that Penstock takes for `larger` rows. Prints medians and aims.

    Without a `dsn` in a Postgres server made for it. dlt takes part in the interpreter that the environment variable
    PENSTOCK_DLT_PYTHON names, or with `dlt` in a virtual environment that is made for it.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-compare-") as folder:
        server = PostgresServer(Path(folder, "data"), Path(folder, "log"))
        if dsn is None:
            server.start()
        try:
            python = os.environ.get("PENSTOCK_DLT_PYTHON") or (dlt_python(Path(folder, "dlt")) if dlt else "")
            results = _compared(rows, larger, rounds, Path(folder), dsn or server.url("postgres"), python)
        finally:
            server.stop()
    if as_json:
        click.echo(msgspec.json.encode([msgspec.structs.asdict(one) for one in results]))
        return
    for one in results:
        click.echo(one.text())


def _compared(rows: int, larger: int, rounds: int, folder: Path, dsn: str, python: str) -> list[Comparison]:
    Book("test", dsn).migrate()
    file = folder / "flights.duckdb"
    write_flights(file)
    flights = compare(Trial(file, "flights", "id", "origin", dsn), rounds, python)
    file = folder / "synthetic.duckdb"
    write_synthetic(file, rows)
    synthetic = compare(Trial(file, "synthetic", "id", "part", dsn), rounds, python)
    if larger:
        file.unlink()
        write_synthetic(file, larger)
        found = penstock(Trial(file, "synthetic", "id", "part", dsn))
        synthetic = msgspec.structs.replace(synthetic, larger=larger, larger_rss_mb=found["peak_rss_mb"])
    return [flights, synthetic]


def compare(trial: Trial, rounds: int, python: str) -> Comparison:
    """Every contestant's seconds, in rounds of changing order; pandas and dlt, who take long, are in the second."""
    with tempfile.TemporaryDirectory(prefix="penstock-limit-") as folder:
        Path(folder).chmod(0o777)
        ready = Path(folder, "ready.pgcopy")
        first = penstock(trial)
        rows, columns = int(first["rows"]), write_ready_made(trial, ready)
        runs: list[dict[str, Any]] = []
        loads: list[dict[str, Any]] = []
        limits: list[float] = []
        pandas: list[float] = []
        fast: list[Callable[[], None]] = [
            lambda: runs.append(penstock(trial)),
            lambda: limits.append(limit(trial, ready, columns)),
        ]
        slow: list[Callable[[], None]] = [lambda: pandas.append(pandas_to_sql(trial, rows))]
        if python:
            slow.append(lambda: loads.append(dlt_load(trial, python, Path(folder))))
        for number in range(rounds):
            for contestant in fast if number % 2 == 0 else reversed(fast):
                contestant()
            for contestant in slow if number == min(1, rounds - 1) else ():
                contestant()
    seconds = {
        LIMIT: limits,
        PUBLISHED: [run["seconds"] for run in runs],
        VERIFIED: [run["seconds"] + run["verify_seconds"] for run in runs],
        EXTRACTED: [run["seconds"] + run["extract_seconds"] for run in runs],
        WHOLE: [run["seconds"] + run["extract_seconds"] + run["verify_seconds"] for run in runs],
        TO_SQL: pandas,
        DLT: [run["seconds"] for run in loads],
    }
    return Comparison(
        trial.table,
        rows,
        {name: found for name, found in seconds.items() if found},
        max(run["peak_rss_mb"] for run in (first, *runs)),
        list(_notes(rows, loads)),
    )


def _notes(rows: int, loads: list[dict[str, Any]]) -> list[str]:
    loaded = to_sql_rows(rows)
    notes = [f"to_sql loaded {loaded:,} rows; its time is multiplied by {rows / loaded:g}"] if loaded < rows else []
    if not loads:
        return [*notes, "dlt took no part: give --dlt, or name an interpreter that has it in PENSTOCK_DLT_PYTHON"]
    versions = ", ".join(f"{name} {version}" for name, version in loads[0]["versions"].items())
    steps = ", ".join(f"{name} {took:.2f} s" for name, took in loads[0]["steps"].items())
    return [*notes, f"dlt by Parquet and ADBC ({versions}): {steps}"]
