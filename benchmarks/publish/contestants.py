"""Those who take part in the comparison of publishing: Penstock, its limit, pandas and dlt."""

import json
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import sqlalchemy as sa
from psycopg import sql

from benchmarks.publish import by_dlt as publish_dlt

TO_SQL_ROWS, TO_SQL_WHOLE = 250_000, 400_000
"""Of a table with more than the second number of rows pandas loads the first number; its time is multiplied."""


@dataclass(frozen=True)
class Trial:
    """One table to publish, and where to."""

    file: Path
    table: str
    key: str
    index: str
    dsn: str


def dlt_load(trial: Trial, python: str, folder: Path) -> dict[str, Any]:
    """One load by dlt in the given interpreter, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [python, str(Path(publish_dlt.__file__)), str(trial.file), trial.table, trial.key, trial.index]
        done = subprocess.run([*command, trial.dsn, own], check=True, capture_output=True, text=True)
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def dlt_python(folder: Path) -> str:
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


def to_sql_rows(rows: int) -> int:
    """How many of a table's rows pandas loads."""
    return rows if rows <= TO_SQL_WHOLE else TO_SQL_ROWS


def pandas_to_sql(trial: Trial, rows: int) -> float:
    """pandas, chunk by chunk, then the same indexes; of `to_sql_rows` of all `rows`, multiplied."""
    loaded = to_sql_rows(rows)
    engine = sa.create_engine(trial.dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS public.pandas_table"))
    started = time.perf_counter()
    with duckdb.connect(str(trial.file), read_only=True) as warehouse, engine.begin() as connection:
        reader = warehouse.sql(f'SELECT * FROM "{trial.table}" LIMIT {loaded}').to_arrow_reader(100_000)
        for batch in reader:
            batch.to_pandas().to_sql("pandas_table", connection, schema="public", if_exists="append", index=False)
        connection.execute(sa.text(f'ALTER TABLE public.pandas_table ADD PRIMARY KEY ("{trial.key}")'))
        connection.execute(sa.text(f'CREATE INDEX ON public.pandas_table ("{trial.index}")'))
    engine.dispose()
    return (time.perf_counter() - started) * rows / loaded


def write_ready_made(trial: Trial, ready: Path) -> tuple[tuple[str, str], ...]:
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
