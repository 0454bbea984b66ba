"""A project written for DuckDB is pointed at a Postgres and at a ClickHouse with the same rows: not a line changes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.snapshots.store import SnapshotStore
from penstock.testing import System
from tests.engine.scaffold.orders import ANSWER, LOOKUPS, NAMES, tables, write_clickhouse, write_postgres
from tests.engine.scaffold.test_new import Shop

TABLES = ("products", "visits")


class Products:
    """What a project made from one warehouse: snapshot ids by name, the artifact, and the newest requests."""

    def __init__(
        self, shop: Shop, store: Path, url: str, model: str = "coming_back", published: Sequence[str] = TABLES
    ) -> None:
        self.settings = {"PENSTOCK_WAREHOUSE_URL": url, "PENSTOCK_SNAPSHOTS_URL": str(store)}
        assert self._run(shop, "publish", *published) != ""
        report = json.loads(self._run(shop, "train", model, "--json"))
        self.artifact = report["artifact"]
        snapshots = SnapshotStore(str(store))
        self.snapshots = {name: [one.id for one in snapshots.history(name)] for name in snapshots.names()}
        self.requests = self._run(shop, "requests", model, "--count", "50")

    def _run(self, shop: Shop, *command: str) -> str:
        done = shop.run("-m", "penstock", *command, **self.settings)
        assert done.returncode == 0
        return done.stdout


@pytest.mark.usefixtures("slow")
def test_snapshots_model_and_predictions_are_the_same_to_the_bit(
    system: System, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    system.write_tables(tables())
    urls = {
        "duckdb": f"duckdb:///{system.settings.warehouse_file}",
        "postgres": new_database(),
        "clickhouse": f"chdb://{tmp_path / 'chdb'}",
    }
    write_postgres(urls["postgres"])
    write_clickhouse(urls["clickhouse"], tmp_path)
    shop = Shop(tmp_path / "shop", system)
    assert shop.new("coming_back", *NAMES, *LOOKUPS).returncode == 0
    written = {name: (shop.root / name).read_bytes() for name in shop.files()}
    made: dict[str, Any] = {kind: Products(shop, tmp_path / f"store of {kind}", url) for kind, url in urls.items()}
    first = made["duckdb"]
    assert len(first.snapshots) == len(TABLES) + 2
    assert len(first.requests.splitlines()) == 50
    for other in (made["postgres"], made["clickhouse"]):
        assert other.snapshots == first.snapshots
        assert other.artifact == first.artifact
        assert other.requests == first.requests
    assert {name: (shop.root / name).read_bytes() for name in written} == written
    asked = shop.run("-c", ANSWER, "coming_back", shop.served_book, stdin=first.requests)
    assert len(asked.stdout.splitlines()) == 50


@pytest.mark.usefixtures("slow")
def test_a_new_model_is_written_and_advised_alike_from_clickhouse(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.write_tables(tables())
    write_clickhouse(f"chdb://{tmp_path / 'chdb'}", tmp_path)
    shops = {}
    for url in ("", f"chdb://{tmp_path / 'chdb'}"):
        monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", url)
        shop = shops[url] = Shop(tmp_path / f"shop {len(shops)}", system)
        assert shop.new("coming_back", *NAMES, *LOOKUPS).returncode == 0
        advised = json.loads(shop.run("-m", "penstock", "advise", "products", "--json").stdout)
        assert (advised["rows"], advised["candidates"][0]["columns"]) == (40, ["sku"])
    local, there = shops.values()
    written = [name for name in sorted(local.files()) if "coming_back" in name]
    assert len(written) == 6
    for name in written:
        assert (there.root / name).read_text() == (local.root / name).read_text(), name
