"""Files that a warehouse has unloaded to S3 become the snapshot that its rows make, or are refused; they are removed.

The files are written here, as the documentation of each kind says: never by a Redshift or a Snowflake.
"""

import json
import posixpath
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fakesnow
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from penstock.extract.extract import extract
from penstock.publish.plan import plan
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.store_url import open_store
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.redshift import MANIFEST, RedshiftWarehouse
from penstock.warehouse.snowflake import SnowflakeSession
from tests.engine.publishing import declared
from tests.engine.s3 import faulty_store

ROWS = """CREATE TABLE orders AS SELECT n::bigint AS id, (n % 7)::int AS shop, 'é ' || n AS name,
    (n / 8.0)::numeric(12, 3) AS amount, n / 7.0::float8 AS share, timestamptz '2026-01-01' + n * interval '1 h' AS at,
    timestamp '2026-01-01' + n * interval '1 s' AS local, date '2026-01-01' + n AS day, n % 2 = 0 AS open
    FROM generate_series(1, 1000) AS n;
CREATE TABLE unloaded (n bigint); INSERT INTO unloaded VALUES (0);
CREATE FUNCTION pg_last_unload_count() RETURNS bigint LANGUAGE sql AS 'SELECT n FROM unloaded'"""
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TABLE = replace(declared("orders", ("id",)), query="SELECT * FROM orders -- it's all")


@dataclass(frozen=True)
class FakeRedshift(RedshiftWarehouse):
    """A Redshift whose UNLOAD is made here: what it selects runs in Postgres, three files and a manifest are written.

    `spoil` changes the table before it is written, or what lies in the folder afterwards.
    """

    table: Callable[[pa.Table], pa.Table] = field(default=lambda table: table)
    spoil: Callable[[Any, str], None] = field(default=lambda files, folder: None)
    said: list[str] = field(default_factory=list)

    def run(self, connection: Any, statement: str) -> None:
        self.said.append(statement)
        quoted, _, rest = statement.removeprefix("UNLOAD ('").partition("') TO '")
        files, root = open_store(rest.partition("'")[0])
        folder = f"{root.rstrip('/')}/"
        with PostgresWarehouse(plain(self)).batches(quoted.replace("''", "'")) as batches:
            rows = self.table(shuffled(batches.read_all()))
        connection.execute("UPDATE unloaded SET n = %s", (rows.num_rows,))
        entries = [
            {"url": f"s3://{path}", "meta": {"content_length": size, "record_count": count}}
            for path, size, count in written(files, folder, rows, use_deprecated_int96_timestamps=True)
        ]
        if rows.num_rows:
            files.pipe_file(f"{folder}{MANIFEST}", json.dumps({"entries": entries, "meta": {}}).encode())
        self.spoil(files, folder)


def shuffled(rows: pa.Table) -> pa.Table:
    order = list(range(rows.num_rows))
    random.Random(1).shuffle(order)
    return rows.take(pa.array(order, pa.int64()))


def written(files: Any, folder: str, rows: pa.Table, **options: Any) -> list[tuple[str, int, int]]:
    """Path, bytes and rows of three files; none for no rows."""
    found = []
    for place in range(3 if rows.num_rows else 0):
        piece = rows.slice(place * 400, 400)
        path = f"{folder}{place:04}_part_00.parquet"
        with files.open(path, "wb") as handle:
            pq.write_table(piece, handle, **options)
        found.append((path, files.size(path), piece.num_rows))
    return found


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with faulty_store(monkeypatch) as made:
        yield f"{made.url}/unload"


@pytest.fixture
def place(bucket: str, new_database: Callable[[], str]) -> Callable[..., FakeRedshift]:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ROWS.encode())
    more = f"&unload={bucket}&iam_role=arn:aws:iam::1:role/penstock"
    return lambda **faults: FakeRedshift(url + more, **faults)


def taken(warehouse: Warehouse, folder: Path) -> Snapshot:
    return extract(TABLE, warehouse, SnapshotStore(str(folder / "snapshots")), NOW)


def left(bucket: str) -> list[str]:
    files, root = open_store(bucket)
    return list(files.find(root))


@pytest.mark.slow
def test_an_unload_of_redshift_is_the_snapshot_of_its_rows(
    place: Callable[..., FakeRedshift], bucket: str, tmp_path: Path
) -> None:
    warehouse = place()
    by_unload = taken(warehouse, tmp_path / "unload")
    by_cursor = taken(PostgresWarehouse(plain(warehouse)), tmp_path / "cursor")
    assert by_unload.rows == 1000
    assert by_unload.id == by_cursor.id
    assert left(bucket) == []
    (statement,) = warehouse.said
    assert f"TO '{bucket}/penstock-" in statement
    assert "IAM_ROLE 'arn:aws:iam::1:role/penstock' FORMAT AS PARQUET MANIFEST VERBOSE" in statement
    assert sqlglot.parse_one(statement.partition("UNLOAD (")[2].partition(") TO ")[0], dialect="redshift")


def plain(warehouse: RedshiftWarehouse) -> str:
    return warehouse.url.partition("&unload")[0]


@pytest.mark.slow
def test_an_empty_unload_has_the_types_of_the_query(
    place: Callable[..., FakeRedshift], bucket: str, tmp_path: Path
) -> None:
    with psycopg.connect(plain(place()), autocommit=True) as connection:
        connection.execute("DELETE FROM orders")
    found = taken(place(), tmp_path)
    assert found.rows == 0
    assert dict(found.manifest.columns)["amount"] == "numeric(12,3)"
    assert left(bucket) == []


def removed(files: Any, folder: str) -> None:
    files.rm_file(f"{folder}0001_part_00.parquet")


def cut(files: Any, folder: str) -> None:
    path = f"{folder}0001_part_00.parquet"
    files.pipe_file(path, files.cat_file(path)[:-100])


def foreign(files: Any, folder: str) -> None:
    files.cp_file(f"{folder}0001_part_00.parquet", f"{folder}0009_part_00.parquet")


def another(files: Any, folder: str) -> None:
    """A file of the same size in the place of another: its rows are twice there."""
    listed = json.loads(files.cat_file(f"{folder}{MANIFEST}"))
    listed["entries"][2]["meta"]["record_count"] += 1
    listed["entries"][1]["meta"]["record_count"] -= 1
    files.pipe_file(f"{folder}{MANIFEST}", json.dumps(listed).encode())


def fewer(files: Any, folder: str) -> None:
    listed = json.loads(files.cat_file(f"{folder}{MANIFEST}"))
    gone = listed["entries"].pop()
    files.rm_file(gone["url"].removeprefix("s3://"))
    files.pipe_file(f"{folder}{MANIFEST}", json.dumps(listed).encode())


def without_manifest(files: Any, folder: str) -> None:
    files.rm_file(f"{folder}{MANIFEST}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (removed, "0001_part_00.parquet is missing"),
        (cut, r"0001_part_00.parquet has \d+ bytes, not \d+"),
        (foreign, "0009_part_00.parquet is not in the report"),
        (another, "expected 399 rows in 0001_part_00.parquet, found 400"),
        (fewer, "the files have 800 rows, the query 1,000"),
        (without_manifest, "manifest of an unload: expected one in JSON"),
    ],
)
def test_a_half_or_foreign_unload_is_refused_and_removed(
    place: Callable[..., FakeRedshift],
    bucket: str,
    tmp_path: Path,
    spoil: Callable[[Any, str], None],
    said: str,
) -> None:
    with pytest.raises(WarehouseError, match=said):
        taken(place(spoil=spoil), tmp_path)
    assert left(bucket) == []
    assert SnapshotStore(str(tmp_path / "snapshots")).latest("orders") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("amount", pa.float64(), r"amount: double for decimal128\(12, 3\)"),
        ("name", pa.binary(), "name: binary for string"),
        ("id", pa.string(), "id: string for int64"),
        ("amount", pa.decimal128(20, 6), "values of decimal128"),
        ("gone", None, "columns id, shop, name"),
    ],
)
def test_a_file_of_other_types_than_declared_is_refused(
    place: Callable[..., FakeRedshift],
    bucket: str,
    tmp_path: Path,
    column: str,
    kind: pa.DataType | None,
    said: str,
) -> None:
    def changed(rows: pa.Table) -> pa.Table:
        if kind is None:
            return rows.drop_columns(["open"])
        place = rows.column_names.index(column)
        values = rows[column].cast(kind)
        if pa.types.is_decimal(kind):
            values = pa.chunked_array([pa.array([0.000001] * rows.num_rows).cast(kind)])
        return rows.set_column(place, column, values)

    with pytest.raises(WarehouseError, match=said):
        taken(place(table=changed), tmp_path)
    assert left(bucket) == []


@pytest.mark.slow
def test_the_plan_says_that_an_unload_is_sorted_here(
    place: Callable[..., FakeRedshift], bucket: str, tmp_path: Path
) -> None:
    with psycopg.connect(plain(place()), autocommit=True) as connection:
        connection.execute("ANALYZE orders")
    found = plan(TABLE, place(), SnapshotStore(str(tmp_path)), (), now=NOW)
    assert (found.rows, found.parts) == (1000, 1)
    assert found.sorts == f"here, after an unload to {bucket}"


@pytest.mark.slow
def test_an_unload_of_snowflake_is_the_snapshot_of_its_rows(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[], str]
) -> None:
    url, said = new_database(), list[str]()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ROWS.encode())

    def unload(self: SnowflakeSession, statement: str) -> list[tuple[Any, ...]]:
        said.append(statement)
        files, root = open_store(statement.removeprefix("COPY INTO '").partition("'")[0])
        inner = statement.partition("FROM (")[2].partition(") STORAGE_INTEGRATION")[0]
        rows = shuffled(self.connection.cursor().execute(inner)._arrow_table)
        rows = rows.rename_columns([name.upper() for name in rows.column_names])
        return [(posixpath.basename(path), size, count) for path, size, count in written(files, f"{root}/", rows)]

    monkeypatch.setattr(SnowflakeSession, "rows_of", unload)
    with fakesnow.patch():
        address = f"snowflake://me:hunter2@account/shop/public?unload={bucket}&storage_integration=lake"
        warehouse = open_warehouse(Settings(home=tmp_path, warehouse_url=address))
        warehouse.prepare(
            """CREATE TABLE orders AS SELECT id::NUMBER(18, 0) AS id, (id % 7)::NUMBER(9, 0) AS shop,
            'é ' || id AS name, (id / 8)::NUMBER(12, 3) AS amount, id::DOUBLE / 7 AS share,
            DATEADD(hour, id, '2026-01-01 00:00:00 +0000'::TIMESTAMP_TZ) AS at,
            DATEADD(second, id, '2026-01-01 00:00:00'::TIMESTAMP_NTZ) AS local,
            DATEADD(day, id, '2026-01-01'::DATE)::DATE AS day, id % 2 = 0 AS open
            FROM (SELECT SEQ4() + 1 AS id FROM TABLE(GENERATOR(ROWCOUNT => 1000)))"""
        )
        by_unload = taken(warehouse, tmp_path / "unload")
    assert by_unload.rows == 1000
    assert by_unload.id == taken(PostgresWarehouse(url), tmp_path / "postgres").id
    assert left(bucket) == []
    assert len(said) == 1
    assert sqlglot.parse_one(said[0], dialect="snowflake")
