"""Views of a DuckDB file over Parquet in an object store (moto's S3), without an extension of DuckDB."""

from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import WarehouseError
from tests.engine.s3 import faulty_store

ROWS = pa.table({"id": range(5000), "name": [f"n{n % 7}" for n in range(5000)], "x": [n / 3 for n in range(5000)]})


@pytest.mark.slow
def test_a_view_over_parquet_in_s3_makes_the_snapshot_of_the_same_rows_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_store(monkeypatch) as store:
        files = fsspec.filesystem("s3")
        for part in range(2):
            with files.open(f"{store.url}/day={part}/rows.parquet", "wb") as file:
                pq.write_table(ROWS.slice(part * 2500, 2500), file)
        pq.write_table(ROWS, tmp_path / "rows.parquet")
        warehouse = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
        warehouse.prepare(
            f"CREATE VIEW there AS SELECT id, name, x FROM read_parquet('{store.url}/*/rows.parquet');"
            f"CREATE TABLE here AS FROM read_parquet('{tmp_path}/rows.parquet')"
        )
        made = []
        for name in ("there", "here"):
            with warehouse.batches(f"SELECT * FROM {name}", key=("id",)) as rows:
                recipe = Recipe(name, ("id",))
                made.append(SnapshotStore(str(tmp_path / "store")).write(name, rows, recipe, as_of=datetime.now(UTC)))
        assert [one.rows for one in made] == [5000, 5000]
        assert made[0].id == made[1].id

        files.rm(store.url, recursive=True)
        with (
            pytest.raises(WarehouseError, match=r"query: found .*rows\.parquet"),
            warehouse.batches("SELECT * FROM there") as rows,
        ):
            rows.read_all()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("read_parquet('gs://bucket/rows.parquet')", r"found store gs://.* Install it: pip install 'penstock\[gs\]'"),
        (
            "read_parquet('abfss://bucket/rows.parquet')",
            r"found store abfss.* Install it: pip install 'penstock\[az\]'",
        ),
        ("delta_scan('/nowhere')", r"no extension 'delta' of DuckDB [\d.]+, .* `INSTALL delta` in that DuckDB"),
    ],
)
def test_what_is_not_installed_is_one_sentence_without_a_traceback(tmp_path: Path, source: str, said: str) -> None:
    warehouse = DuckDBWarehouse(str(tmp_path / "w.duckdb"))
    warehouse.prepare("CREATE TABLE t (n int)")
    with pytest.raises(WarehouseError, match=said) as refused, warehouse.batches(f"SELECT * FROM {source}"):
        pass
    assert "Traceback" not in str(refused.value)
    assert "File" not in str(refused.value)
