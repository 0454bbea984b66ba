"""Rows with what warehouses treat otherwise, from DuckDB, Postgres and ClickHouse: the same to the bit."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from penstock.testing import System
from tests.engine.scaffold.orders import write_clickhouse, write_postgres
from tests.engine.scaffold.test_new import Shop
from tests.engine.scaffold.test_same_everywhere import Products

COUNT = 3_000
FIRST = datetime(2026, 8, 20, 23, 50, 0, 123_456)
TEXTS = ("a", "B", "ä", "Z", "_", "-", " ", "É", "", "a ", "ß", "日本", "A'b\"c\\d", "%x", "1")
NUMBERS = (0.1, -0.0, 1e300, 5e-324, None, 1 / 3, -1e-7, 123456.789)


def meters() -> pa.Table:
    """Readings of meters: composite keys, keys beyond 2^53, equal instants, days before 1970."""
    return pa.Table.from_pylist([meter(n) for n in range(COUNT)], schema=METERS)


def meter(n: int) -> dict[str, Any]:
    return {
        "site": TEXTS[n % len(TEXTS)],
        "meter": 2**53 + n % 40,
        "Asked At": FIRST + timedelta(minutes=29 * (n // 2)),
        "price": None if n % 11 == 3 else Decimal(n * 7919 % 99_999).scaleb(-4),
        "built": date(1931, 1, 1) + timedelta(days=n * 97 % 30_000),
        "big": None if n % 13 == 0 else -(2**60) + n,
        "number": NUMBERS[n % len(NUMBERS)],
        "small": n % 7 - 3,
        "on": None if n % 17 == 1 else n % 2 == 0,
        "kind": None if n % 19 == 1 else TEXTS[n * 7 % len(TEXTS)],
        "fault": (n * 7919 % 1000) + 200 * (n % 3 == 0) > 700,
    }


METERS = pa.schema(
    {
        "site": pa.string(),
        "meter": pa.int64(),
        "Asked At": pa.timestamp("us"),
        "price": pa.decimal128(9, 4),
        "built": pa.date32(),
        "big": pa.int64(),
        "number": pa.float64(),
        "small": pa.int64(),
        "on": pa.bool_(),
        "kind": pa.string(),
        "fault": pa.bool_(),
    }
)


def tariffs() -> pa.Table:
    """What each meter of a site costs, from when on it is known: before 1970, or at the very instant of a reading."""
    rows = [
        {
            "site": TEXTS[n % len(TEXTS)],
            "meter": 2**53 + n % 40,
            "since": (FIRST + timedelta(minutes=29 * n)).replace(tzinfo=UTC)
            if n % 3
            else datetime(1960, 1, 1, tzinfo=UTC) + timedelta(microseconds=n),
            "tariff": None if n % 5 == 0 else Decimal(n * 31 % 9_999).scaleb(-3),
            "name": TEXTS[n * 11 % len(TEXTS)],
            "from_day": None if n % 4 == 0 else date(2026, 1, 1) + timedelta(days=n % 300),
            "peak": NUMBERS[n * 3 % len(NUMBERS)],
        }
        for n in range(900)
    ]
    return pa.Table.from_pylist(rows)


def sites() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"site": text, "height": None if n == 3 else n / 3, "code": UUID(int=n * 7919).hex}
            for n, text in enumerate(TEXTS)
        ]
    )


@pytest.mark.usefixtures("slow")
def test_odd_rows_are_the_same_to_the_bit(system: System, tmp_path: Path, new_database: Callable[[], str]) -> None:
    rows = {"meters": meters(), "tariffs": tariffs(), "sites": sites()}
    system.write_tables(rows)
    urls = {
        "duckdb": f"duckdb:///{system.settings.warehouse_file}",
        "postgres": new_database(),
        "clickhouse": f"chdb://{tmp_path / 'chdb'}",
    }
    write_postgres(urls["postgres"], rows)
    write_clickhouse(urls["clickhouse"], tmp_path, rows)
    shop = Shop(tmp_path / "shop", system)
    made = shop.new(
        "fault",
        "--from",
        "meters",
        "--outcome",
        "fault",
        "--key",
        "site,meter",
        "--asked-at",
        "Asked At",
        "--every",
        "week",
        "--lookup",
        "tariffs:site,meter@since",
        "--lookup",
        "sites:site",
    )
    assert made.returncode == 0
    products: dict[str, Any] = {
        kind: Products(shop, tmp_path / f"store of {kind}", url, "fault", ("tariffs", "sites"))
        for kind, url in urls.items()
    }
    first = products["duckdb"]
    for other in (products["postgres"], products["clickhouse"]):
        assert other.snapshots == first.snapshots
        assert other.artifact == first.artifact
        assert other.requests == first.requests
    assert json.loads(first.requests.splitlines()[0])
