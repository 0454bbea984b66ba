"""One load of a DuckDB table into Postgres by dlt, by its fastest way; runs in an interpreter that has dlt.

Arrow batches of a million rows go to Parquet files as they are (Arrow is not normalised row by row, and no load id is
added) and are ingested by ADBC, two files at once; the indexes come after the load. Needs `REQUIREMENTS`, imports
nothing of this repository, and prints one JSON object.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

REQUIREMENTS = ("dlt[postgres]", "duckdb", "pyarrow", "adbc-driver-manager", "adbc-driver-postgresql")
BATCH_ROWS = 1_000_000
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID": "false",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__FILE_MAX_ITEMS": str(BATCH_ROWS),
    "LOAD__WORKERS": "2",
    "LOAD__RAISE_ON_FAILED_JOBS": "true",
}


def load(file: str, table: str, key: str, index: str, dsn: str, folder: str) -> dict[str, Any]:
    """Load the table, and say how long each step took."""
    os.environ.update(SETTINGS)
    os.chdir(Path(folder))  # where dlt looks for its configuration
    dlt, psycopg2 = importlib.import_module("dlt"), importlib.import_module("psycopg2")

    def rows() -> Iterator[Any]:
        with duckdb.connect(file, read_only=True) as warehouse:
            yield from warehouse.sql(f'SELECT * FROM "{table}"').to_arrow_reader(BATCH_ROWS)

    pipeline = dlt.pipeline(
        "comparison",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(_complete(dsn)),
        dataset_name="dlt_data",
    )
    times = [time.perf_counter()]
    resource = dlt.resource(rows, name="dlt_table", write_disposition="replace")
    pipeline.extract(resource, loader_file_format="parquet")
    times.append(time.perf_counter())
    pipeline.normalize()
    times.append(time.perf_counter())
    pipeline.load()
    times.append(time.perf_counter())
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE dlt_data.dlt_table ADD PRIMARY KEY ("{key}")')
        cursor.execute(f'CREATE INDEX ON dlt_data.dlt_table ("{index}")')
    times.append(time.perf_counter())
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM dlt_data.dlt_table")
        found = cursor.fetchone()
        cursor.execute("DROP SCHEMA dlt_data CASCADE")
    steps = [after - before for before, after in pairwise(times)]
    return {
        "rows": found[0] if found else 0,
        "seconds": times[-1] - times[0],
        "steps": dict(zip(("extract", "normalize", "load", "indexes"), steps, strict=True)),
        "versions": {name: importlib.metadata.version(name) for name in ("dlt", "adbc-driver-postgresql")},
    }


def _complete(dsn: str) -> str:
    """The URL with host and password, which dlt demands; a socket in the query part goes before that host."""
    return dsn.replace("@/", ":unused@localhost/", 1)


if __name__ == "__main__":
    print(json.dumps(load(*sys.argv[1:7])))
