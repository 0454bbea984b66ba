"""Publishing against its limit, pandas and dlt, interleaved in one run."""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
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


def compare_all(rows: int, rounds: int, dsn: str | None, *, as_json: bool) -> None:
    """Flights and a synthetic table of `rows` rows, `rounds` rounds of each contestant in turn; prints medians.

    Without a `dsn` in a Postgres server made for it.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-compare-") as folder:
        server = PostgresServer(Path(folder, "data"), Path(folder, "log"))
        if dsn is None:
            server.start()
        try:
            results = _compared(rows, rounds, Path(folder), dsn or server.url("postgres"))
        finally:
            server.stop()
    if as_json:
        click.echo(json.dumps(results))
        return
    for name, result in results.items():
        shown = Table("contestant", "seconds", "of the limit", title=f"{name}, median of {rounds}")
        for contestant, seconds in result.items():
            ratio = f"{seconds / result['limit']:.2f}" if isinstance(seconds, float) and "MB" not in contestant else ""
            shown.add_row(contestant, f"{seconds:.2f}" if isinstance(seconds, float) else str(seconds), ratio)
        Console().print(shown)


def _compared(rows: int, rounds: int, folder: Path, dsn: str) -> dict[str, dict[str, Any]]:
    Book("test", dsn).ensure()
    flights, synthetic = folder / "flights.duckdb", folder / "synthetic.duckdb"
    write_flights(flights)
    write_synthetic(synthetic, rows)
    trials = Trial(flights, "flights", "id", "origin", dsn), Trial(synthetic, "synthetic", "id", "part", dsn)
    return {trial.table: compare(trial, rounds) for trial in trials}


def compare(trial: Trial, rounds: int) -> dict[str, Any]:
    """Contestant to median seconds; a text where one cannot take part."""
    with tempfile.TemporaryDirectory(prefix="penstock-limit-") as folder:
        Path(folder).chmod(0o777)
        ready = Path(folder, "ready.pgcopy")
        first = penstock(trial)
        columns = _write_ready_made(trial, ready)
        contestants: dict[str, Callable[[], float]] = {
            "limit": lambda: limit(trial, ready, columns),
            "pandas to_sql": lambda: pandas_to_sql(trial),
        }
        runs: list[dict[str, Any]] = []
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            runs.append(penstock(trial))
            for name, contestant in contestants.items():
                seconds[name].append(contestant())
    return {
        "rows": first["rows"],
        "limit": median(seconds["limit"]),
        "penstock without verify": median(run["seconds"] for run in runs),
        "penstock with verify": median(run["seconds"] + run["verify_seconds"] for run in runs),
        "penstock's extract before it": median(run["extract_seconds"] for run in runs),
        "penstock's peak RSS, MB": max(run["peak_rss_mb"] for run in runs),
        "pandas to_sql": median(seconds["pandas to_sql"]),
        "dlt": "not measured here" if importlib.util.find_spec("dlt") else "not installed",
    }


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


def pandas_to_sql(trial: Trial) -> float:
    """pandas, chunk by chunk, then the same indexes."""
    engine = sa.create_engine(trial.dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS public.pandas_table"))
    started = time.perf_counter()
    with duckdb.connect(str(trial.file), read_only=True) as warehouse, engine.begin() as connection:
        reader = warehouse.sql(f'SELECT * FROM "{trial.table}"').to_arrow_reader(100_000)
        for batch in reader:
            batch.to_pandas().to_sql("pandas_table", connection, schema="public", if_exists="append", index=False)
        connection.execute(sa.text(f'ALTER TABLE public.pandas_table ADD PRIMARY KEY ("{trial.key}")'))
        connection.execute(sa.text(f'CREATE INDEX ON public.pandas_table ("{trial.index}")'))
    engine.dispose()
    return time.perf_counter() - started


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
