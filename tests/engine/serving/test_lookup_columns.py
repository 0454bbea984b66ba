"""Columns come and go in the replicated tables, and no replica stops answering for it without a word."""

from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from penstock.declare.table import ReplicatedTable
from penstock.publish.publish import publish
from penstock.replicated.error import PublishError
from penstock.snapshots.store import Snapshot, SnapshotStore
from tests.engine.publishing import declared, write
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, wait_for

TANKS = declared("tanks", ("name",))


def tanks(folder: Path, **more: pa.Array) -> Snapshot:
    names = pa.array(sorted(f"t{n}" for n in range(50)))
    columns = {"name": names, "shape": pa.array(["round"] * 50), "height": pa.array([9.0] * 50)} | more
    table = pa.table({name: values for name, values in columns.items() if values is not None})
    return write(SnapshotStore(str(folder / "snapshots")), table, "tanks", ("name",))


def published(service: Service, snapshot: Snapshot, table: ReplicatedTable = TANKS) -> None:
    publish(snapshot, table, [service.book], who="me", service=str(service.http.base_url))


@pytest.mark.parametrize("height", [None, pa.array(["high"] * 50)], ids=["gone", "of another kind"])
def test_a_publish_that_takes_away_what_the_service_looks_up_is_refused(
    service: Service, tmp_path: Path, height: pa.Array | None
) -> None:
    with pytest.raises(
        PublishError,
        match=r"model 'overflow' looks up 'height' of table 'tanks'.*`penstock deploy`.*Nothing was changed",
    ):
        published(service, tanks(tmp_path, height=height))
    assert service.ask().status_code == 200


def test_a_column_more_or_fewer_that_nobody_looks_up_is_published(service: Service, tmp_path: Path) -> None:
    published(service, tanks(tmp_path, colour=pa.array(["red"] * 50)))
    published(service, tanks(tmp_path))
    wait_for(lambda: service.ask().status_code == 200)
    with service.book.connect() as connection:
        columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'tanks'"
        assert connection.execute(columns).fetchone() == (3,)


def test_where_no_service_runs_any_column_may_go(service: Service, tmp_path: Path) -> None:
    publish(tanks(tmp_path, height=None), TANKS, [service.book], who="me", service="http://127.0.0.1:9")
    with service.book.connect() as connection:
        columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'tanks'"
        assert connection.execute(columns).fetchone() == (2,)


def test_a_replica_whose_tables_lack_a_column_is_not_ready_and_names_it(service: Service) -> None:
    rows = [(f"t{n}", "round") for n in range(50)]
    toy.publish(service.book, "tanks", 'name text COLLATE "C", shape text COLLATE "C"', rows, "name")

    def not_ready() -> httpx.Response | None:
        answer = service.ask()
        return answer if answer.status_code == 503 and "height" in answer.text else None

    assert "column 'height' of table 'tanks' is not there" in wait_for(not_ready).json()["detail"]
    models = service.http.get("/readyz").json()["models"]
    assert models == {"overflow": "column 'height' of table 'tanks' is not there"}
    toy.publish_tanks(service.book)
    wait_for(lambda: service.ask().status_code == 200)
    assert service.http.get("/readyz").json()["models"] == {"overflow": "ready"}
