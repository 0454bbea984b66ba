"""Further projects for DuckDB, pointed at a Postgres and at a ClickHouse with the same rows in types of their own."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from penstock.testing import System
from tests.engine.scaffold.native import LINES, Rows, Types, Warehouses, made_alike, written
from tests.engine.scaffold.test_new import Shop

MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')"


TRIPS: Types = {
    "line": ("VARCHAR", "varchar(20)", "Nullable(String)"),
    "stop": ("SMALLINT", "smallint", "Nullable(Int16)"),
    "left at": ("TIMESTAMP", "timestamp", "Nullable(DateTime64(6))"),
    "fare": ("DECIMAL(20,7)", "numeric(20,7)", "Nullable(Decimal(20,7))"),
    "ratio": ("FLOAT", "real", "Nullable(Float32)"),
    "ticket": ("UUID", "uuid", "Nullable(UUID)"),
    "zone": ("VARCHAR", "char(3)", "Nullable(FixedString(4))"),
    "mood": ("mood", "mood", "Nullable(Enum('sad', 'ok', 'glad'))"),
    "opens": ("TIME", "time", "Nullable(Time64(6))"),
    "sold": ("TIMESTAMPTZ", "timestamptz", "Nullable(DateTime64(6, 'Asia/Kathmandu'))"),
    "day": ("DATE", "date", "Nullable(Date32)"),
    "seats": ("BIGINT", "bigint", "Nullable(Int64)"),
    "express": ("BOOLEAN", "boolean", "Nullable(Bool)"),
    "late": ("DOUBLE", "double precision", "Nullable(Float64)"),
}


def trips() -> Rows:
    first = datetime(2026, 10, 20, 23, 59, 59, 999_999)
    return written(
        [
            {
                "line": LINES[n % len(LINES)],
                "stop": n % 23 - 11,
                "left at": first + timedelta(minutes=11 * (n // 2)),
                "fare": None if n % 9 == 4 else Decimal(n * 7919 % 99_999).scaleb(-7),
                "ratio": (0.1, -0.0, 1e-40, 3.5)[n % 4],
                "ticket": UUID(int=n % 7),
                "zone": ("A", "B1", None, "äb")[n % 4],
                "mood": ("sad", "ok", None, "glad")[n * 7 % 4],
                "opens": None if n % 8 == 1 else time(n % 24, n % 60, n % 60, n),
                "sold": datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(minutes=7 * (n % 60)),
                "day": None if n % 15 == 2 else date(1969, 12, 30) + timedelta(days=n % 9 * 1000),
                "seats": 2**53 + n % 5,
                "express": None if n % 21 == 3 else n % 3 == 0,
                "late": (n * 7919 % 1000) / 50 + 50 * (n % 3 == 0),
            }
            for n in range(3_000)
        ]
    )


PLACES: Types = {
    "line": ("VARCHAR", "text", "Nullable(String)"),
    "stop": ("INTEGER", "integer", "Nullable(Int32)"),
    "known": ("DATE", "date", "Nullable(Date32)"),
    "height": ("DECIMAL(9,3)", "numeric(9,3)", "Nullable(Decimal(9,3))"),
    "kind": ("mood", "mood", "Nullable(Enum('sad', 'ok', 'glad'))"),
}


def places() -> Rows:
    return written(
        [
            {
                "line": LINES[n % len(LINES)],
                "stop": n % 23 - 11,
                "known": date(2026, 10, 15) + timedelta(days=n // 253 * 3),
                "height": None if n % 6 == 0 else Decimal(n * 31 % 9_999).scaleb(-3),
                "kind": ("sad", "ok", None, "glad")[n * 3 % 4],
            }
            for n in range(253 * 5)
        ]
    )


ZONES: Types = {
    "zone": ("VARCHAR", "varchar", "Nullable(String)"),
    "since": ("TIMESTAMP", "timestamp", "Nullable(DateTime64(6))"),
    "share": ("DOUBLE", "numeric", "Nullable(Float64)"),
    "night": ("TIME", "time", "Nullable(Time64(6))"),
    "code": ("UUID", "uuid", "Nullable(UUID)"),
}


def zones() -> Rows:
    return written(
        [
            {
                "zone": ("A", "B1", "äb")[n % 3],
                "since": datetime(2026, 10, 24, 23, 30) + timedelta(minutes=n * 31),
                "share": n / 8,
                "night": time(n % 24, 30),
                "code": UUID(int=n % 4 * 7919),
            }
            for n in range(300)
        ]
    )


@pytest.mark.usefixtures("slow")
def test_native_types_local_times_and_a_model_of_each_day(
    system: System, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    warehouses = Warehouses(system, tmp_path, new_database, before=MOOD)
    warehouses.write("trips", TRIPS, trips())
    warehouses.write("places", PLACES, places())
    warehouses.write("zones", ZONES, zones())
    shop = Shop(tmp_path / "shop", system)
    options = ["--from", "trips", "--outcome", "late", "--key", "line,stop", "--asked-at", "left at"]
    options += ["--every", "day", "--zone", "Europe/Berlin", "--lookup", "places:line,stop@known"]
    assert shop.new("late", *options, "--lookup", "zones:zone@since").returncode == 0
    made_alike(shop, warehouses.urls, tmp_path, "late", ("places", "zones"))
