"""Publishing against its limit, pandas and dlt, interleaved in one run."""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import duckdb
import psycopg
import sqlalchemy as sa
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks import publish_dlt
from benchmarks.publish_tables import write_flights, write_synthetic
from resources.book import Book
from resources.postgres_server import PostgresServer


@dataclass(frozen=True)
class Trial:
    """One table to publish, and where to."""

    file: Path
    table: str
    key: str
    index: str
    dsn: str


TO_SQL_ROWS = 1_000_000
"""Of a larger table pandas loads the first so many rows, and its time is multiplied: that is said beside it."""


def compare_all(rows: int, rounds: int, dsn: str | None, *, dlt: bool, as_json: bool) -> None:
    """Flights and a synthetic table of `rows` rows, `rounds` rounds of each contestant in turn; prints medians.

    Without a `dsn` in a Postgres server made for it. dlt takes part in the interpreter that the environment variable
    PENSTOCK_DLT_PYTHON names, or with `dlt` in a virtual environment that is made for it.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-compare-") as folder:
        server = PostgresServer(Path(folder, "data"), Path(folder, "log"))
        if dsn is None:
            server.start()
        try:
            python = os.environ.get("PENSTOCK_DLT_PYTHON") or (_dlt_python(Path(folder, "dlt")) if dlt else "")
            results = _compared(rows, rounds, Path(folder), dsn or server.url("postgres"), python)
        finally:
            server.stop()
    if as_json:
        click.echo(json.dumps(results))
        return
    for name, result in results.items():
        shown = Table("contestant", "seconds", "of the limit", title=f"{name}, {result['rows']:,} rows")
        for contestant, found in result["seconds"].items():
            shown.add_row(contestant, f"{found:.2f}", f"{found / result['seconds']['the limit']:.2f}")
        Console().print(shown)
        for note in result["notes"]:
            Console().print(note)


def _compared(rows: int, rounds: int, folder: Path, dsn: str, python: str) -> dict[str, dict[str, Any]]:
    Book("test", dsn).ensure()
    flights, synthetic = folder / "flights.duckdb", folder / "synthetic.duckdb"
    write_flights(flights)
    write_synthetic(synthetic, rows)
    trials = Trial(flights, "flights", "id", "origin", dsn), Trial(synthetic, "synthetic", "id", "part", dsn)
    return {trial.table: compare(trial, rounds, python) for trial in trials}


def compare(trial: Trial, rounds: int, python: str) -> dict[str, Any]:
    """Contestant to median seconds, each round in another order."""
    with tempfile.TemporaryDirectory(prefix="penstock-limit-") as folder:
        Path(folder).chmod(0o777)
        ready = Path(folder, "ready.pgcopy")
        first = penstock(trial)
        columns = _write_ready_made(trial, ready)
        runs: list[dict[str, Any]] = []
        loads: list[dict[str, Any]] = []
        seconds: dict[str, list[float]] = {"the limit": [], "pandas to_sql": []}
        contestants: list[Callable[[], None]] = [
            lambda: runs.append(penstock(trial)),
            lambda: seconds["the limit"].append(limit(trial, ready, columns)),
            lambda: seconds["pandas to_sql"].append(pandas_to_sql(trial, first["rows"])),
        ]
        if python:
            contestants.append(lambda: loads.append(dlt_load(trial, python, Path(folder))))
        for number in range(rounds):
            for place in range(len(contestants)):
                contestants[(place + number) % len(contestants)]()
    found = {
        "the limit": median(seconds["the limit"]),
        "penstock without verify": median(run["seconds"] for run in runs),
        "penstock with verify": median(run["seconds"] + run["verify_seconds"] for run in runs),
        "penstock with extract and verify": median(
            run["extract_seconds"] + run["seconds"] + run["verify_seconds"] for run in runs
        ),
        "pandas to_sql": median(seconds["pandas to_sql"]),
    }
    notes = [f"median of {rounds} rounds; peak RSS of penstock {max(run['peak_rss_mb'] for run in runs):.0f} MB"]
    if first["rows"] > TO_SQL_ROWS:
        notes.append(f"to_sql loaded {TO_SQL_ROWS:,} rows; its time is multiplied by {first['rows'] / TO_SQL_ROWS:g}")
    if loads:
        found["dlt without its extract"] = median(run["seconds"] - run["steps"]["extract"] for run in loads)
        found["dlt"] = median(run["seconds"] for run in loads)
        notes.append("dlt by Parquet and ADBC: " + ", ".join(f"{n} {v}" for n, v in loads[0]["versions"].items()))
    else:
        notes.append("dlt took no part: give --dlt, or name an interpreter that has it in PENSTOCK_DLT_PYTHON")
    return {"rows": first["rows"], "seconds": found, "notes": notes}


def dlt_load(trial: Trial, python: str, folder: Path) -> dict[str, Any]:
    """One load by dlt in the given interpreter, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [python, str(Path(publish_dlt.__file__)), str(trial.file), trial.table, trial.key, trial.index]
        done = subprocess.run([*command, trial.dsn, own], check=True, capture_output=True, text=True)
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def _dlt_python(folder: Path) -> str:
    """An interpreter that has dlt, in a virtual environment made in `folder`."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *publish_dlt.REQUIREMENTS], check=True)
    return python


def penstock(trial: Trial) -> dict[str, Any]:
    """One publish in a process of its own, as `benchmarks.publish` measures it."""
    command = [sys.executable, "-m", "benchmarks.publish", "--duckdb", str(trial.file), "--table", trial.table]
    command += ["--key", trial.key, "--index", trial.index, "--dsn", trial.dsn, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def limit(trial: Trial, ready: Path, columns: tuple[tuple[str, str], ...]) -> float:
    """Postgres alone: COPY FREEZE of a ready-made binary file on the server, then the same indexes and ANALYZE."""
    listed = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(kind)) for n, kind in columns)
    with psycopg.connect(trial.dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS public.limit_table")
        connection.commit()
        started = time.perf_counter()
        connection.execute("SET maintenance_work_mem = '256MB'")
        connection.execute(sql.SQL("CREATE TABLE public.limit_table ({})").format(listed))
        connection.execute(
            sql.SQL("COPY public.limit_table FROM {} (FORMAT binary, FREEZE)").format(sql.Literal(str(ready)))
        )
        connection.commit()
        connection.execute(
            sql.SQL("ALTER TABLE public.limit_table ADD PRIMARY KEY ({})").format(sql.Identifier(trial.key))
        )
        connection.execute(sql.SQL("CREATE INDEX ON public.limit_table ({})").format(sql.Identifier(trial.index)))
        connection.execute("ANALYZE public.limit_table")
        connection.commit()
        return time.perf_counter() - started


def pandas_to_sql(trial: Trial, rows: int) -> float:
    """pandas, chunk by chunk, then the same indexes; of at most TO_SQL_ROWS rows, multiplied."""
    engine = sa.create_engine(trial.dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS public.pandas_table"))
    started = time.perf_counter()
    with duckdb.connect(str(trial.file), read_only=True) as warehouse, engine.begin() as connection:
        reader = warehouse.sql(f'SELECT * FROM "{trial.table}" LIMIT {TO_SQL_ROWS}').to_arrow_reader(100_000)
        for batch in reader:
            batch.to_pandas().to_sql("pandas_table", connection, schema="public", if_exists="append", index=False)
        connection.execute(sa.text(f'ALTER TABLE public.pandas_table ADD PRIMARY KEY ("{trial.key}")'))
        connection.execute(sa.text(f'CREATE INDEX ON public.pandas_table ("{trial.index}")'))
    engine.dispose()
    return (time.perf_counter() - started) * max(1.0, rows / TO_SQL_ROWS)


def _write_ready_made(trial: Trial, ready: Path) -> tuple[tuple[str, str], ...]:
    """Let the server write the file that it will read; gives the table's columns."""
    with psycopg.connect(trial.dsn) as connection:
        connection.execute(
            sql.SQL("COPY (SELECT * FROM {} ORDER BY {}) TO {} (FORMAT binary)").format(
                sql.Identifier("replicated", trial.table), sql.Identifier(trial.key), sql.Literal(str(ready))
            )
        )
        return tuple(
            (name, kind)
            for name, kind in connection.execute(
                """SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
                   WHERE attrelid = (SELECT format('replicated.%%I', physical)::regclass FROM replicated.current
                                     WHERE table_name = %s) AND attnum > 0 ORDER BY attnum""",
                (trial.table,),
            ).fetchall()
        )
