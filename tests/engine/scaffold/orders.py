"""A warehouse of a shop's orders, which is no example of anything else, and a new model's way to an answer."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.warehouse.clickhouse.warehouse import ClickHouseWarehouse

COUNT = 4_000
FIRST = datetime(2026, 7, 2, 8)
CHANNELS = ("web", "app", 'the "store"')
LOOKUPS = ("--lookup", "products:sku=article", "--lookup", "visits@seen_at")
NAMES = ("--from", "orders", "--outcome", "came_back", "--key", "customer_id", "--asked-at", "ordered_at")


def orders() -> pa.Table:
    """Orders of 700 customers over four and a half months, in naive times: each customer orders many times."""
    return pa.Table.from_pylist([order(n) for n in range(COUNT)])


def order(n: int) -> dict[str, Any]:
    noise = n * 7919 % 1000
    likely = (n % 3 == 1) * 300 + (n % 4 == 0) * 200 + noise * 7 % 600
    return {
        "customer_id": n % 700,
        "ordered_at": FIRST + timedelta(minutes=49 * n),
        "channel": CHANNELS[n % 3],
        "amount": Decimal(noise).scaleb(-1),
        "gift": n % 4 == 0,
        "distance": None if n % 10 == 3 else float(noise % 50),
        "member since": date(2020, 1, 1) + timedelta(days=n * 31 % 2000),
        "article": f"P{n * 13 % 40}",
        "reference": f"order-{n}",
        "currency": "EUR",
        "nothing": None,
        "from": n % 17,
        "came_back": None if n % 400 == 7 else likely > 480,
        "stars": 1 + (likely + n % 5 * 60) // 260,
        "worth": float(noise) * 2 + (n % 3) * 500,
    }


def products() -> pa.Table:
    return pa.Table.from_pylist(
        [{"sku": f"P{n}", "price": Decimal(n * 135).scaleb(-2), "group": "ab"[n % 2]} for n in range(40)]
    )


def visits() -> pa.Table:
    """What was seen of each customer, from when on it was known; the first months of some are empty."""
    first = datetime(2026, 6, 1, tzinfo=UTC)
    return pa.Table.from_pylist(
        [
            {
                "customer_id": n % 700,
                "seen_at": first + timedelta(minutes=53 * n),
                "pages": n % 30,
                "minutes": n % 7 / 3,
            }
            for n in range(3_000)
        ]
    )


def tables() -> dict[str, pa.Table]:
    return {"orders": orders(), "products": products(), "visits": visits()}


def write_postgres(url: str, rows: dict[str, pa.Table] | None = None) -> None:
    """The same tables in a Postgres, with columns of types that no request holds."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, table in (rows or tables()).items():
            frame = duckdb.arrow(table)
            kinds = ", ".join(
                f'"{column}" {_POSTGRES.get(str(kind), str(kind))}'
                for column, kind in zip(frame.columns, frame.types, strict=True)
            )
            connection.execute(f'CREATE TABLE "{name}" ({kinds})'.encode())
            names = ", ".join(f'"{column}"' for column in frame.columns)
            with connection.cursor() as cursor, cursor.copy(f'COPY "{name}" ({names}) FROM STDIN'.encode()) as copy:
                for row in table.to_pylist():
                    copy.write_row(list(row.values()))
        if not rows:
            connection.execute("ALTER TABLE orders ADD COLUMN tags jsonb, ADD COLUMN at interval")


def write_clickhouse(url: str, folder: Path, rows: dict[str, pa.Table] | None = None) -> None:
    """The same tables in a ClickHouse, which reads them of files in the folder."""
    Path(url.removeprefix("chdb://")).mkdir()
    warehouse = ClickHouseWarehouse(url)
    for name, table in (rows or tables()).items():
        file = folder / f"{name}.parquet"
        columns = [field for field in table.schema if not pa.types.is_null(field.type)]
        pq.write_table(table.select([field.name for field in columns]), file)
        kinds = ", ".join(f'"{field.name}" Nullable({_clickhouse(field.type)})' for field in columns)
        warehouse.prepare(f'CREATE TABLE "{name}" ({kinds})')
        warehouse.prepare(f"INSERT INTO \"{name}\" SELECT * FROM file('{file}', Parquet)")


def _clickhouse(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"Decimal({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "DateTime64(6, 'UTC')" if kind.tz else "DateTime64(6)"
    kinds = {"int64": "Int64", "string": "String", "double": "Float64", "bool": "Bool", "date32[day]": "Date32"}
    return kinds[str(kind)]


_POSTGRES = {"DOUBLE": "double precision", '"NULL"': "text", "VARCHAR": "text"}

ANSWER = """
import json, sys
from penstock.client import Client
from penstock.contract.registry import read_contracts
from penstock.runtime import Runtime
from penstock.serving.app import App
from penstock.testing.service import uvicorn_thread

runtime = Runtime.load()
contracts = read_contracts().by_model
app = App(runtime.settings, sys.argv[2], contracts)
with uvicorn_thread(app) as port, Client(f"http://127.0.0.1:{port}", sys.argv[1]) as client:
    for line in sys.stdin:
        answer = client.predict(json.loads(line))
        print(json.dumps([answer.id, answer.prediction, sorted(answer.snapshots), list(answer.missing)]))
"""
"""Serves the project's contracts over the book of a URL, and answers each request of standard input."""
