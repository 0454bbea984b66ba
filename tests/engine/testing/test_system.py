"""The fixtures of `penstock.testing`, as a project's tests use them: rows go in, a prediction comes out."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from sklearn.linear_model import LinearRegression

from penstock.client import ServiceError
from penstock.contract.contract import Contract
from penstock.declare.shape import ShapeError
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.releases.entry import LedgerEntry
from penstock.snapshots.store import Snapshot
from penstock.testing import NOON, Clock, Rows, Serve, System, as_arrow, books, create_book
from tests.engine.testing.shop import CONTRACT, SHOPS

Publish = Callable[[ReplicatedTable, Rows], Snapshot]
Release = Callable[[Contract, Any], LedgerEntry]


def minutes(each_parcel: float) -> LinearRegression:
    """So many minutes for each parcel, and two for each kilometre."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return LinearRegression().fit(rows, rows @ [each_parcel, 2.0])


def test_a_service_answers_from_rows_and_a_model_and_takes_what_comes_later(
    publish_into_book: Publish, release_in_book: Release, serve: Serve
) -> None:
    snapshot = publish_into_book(SHOPS, [{"name": "a", "distance": 3.0}])
    assert release_in_book(CONTRACT, minutes(5)).release == 1
    client = serve(CONTRACT).client("minutes")

    answer = client.predict({"shop": "a", "parcels": 2})
    assert answer.prediction == pytest.approx(16)
    assert (answer.release, answer.missing, answer.snapshots) == (1, (), {"shops": snapshot.id})
    assert client.predict({"shop": "b", "parcels": 2}).missing == ("shop",)

    assert release_in_book(CONTRACT, minutes(7)).release == 2
    with pytest.raises(ServiceError, match="parcels"):
        client.predict({"shop": "a", "parcels": "many"})


def test_a_service_lives_in_the_time_of_the_clock(
    publish_into_book: Publish, release_in_book: Release, serve: Serve, clock: Clock
) -> None:
    publish_into_book(SHOPS, [{"name": "a", "distance": 3.0}])
    release_in_book(CONTRACT, minutes(5))
    clock.forward(timedelta(days=400))
    client = serve(CONTRACT).client("minutes")

    journaled = client.prediction(client.predict({"shop": "a", "parcels": 2}).id)
    assert journaled.asked_at == NOON + timedelta(days=400)


def test_a_service_without_a_release_answers_nothing(serve: Serve) -> None:
    service = serve(CONTRACT)
    assert not service.client("minutes").ready()


def test_rows_of_another_shape_are_refused(publish_into_book: Publish) -> None:
    with pytest.raises(ShapeError, match="distance"):
        publish_into_book(SHOPS, [{"name": "a", "distance": -3.0}])


def test_a_clock_is_moved_and_put_back(system: System) -> None:
    assert system.settings.now() == system.clock.now == NOON
    assert system.clock.set("2026-01-05T10:00:00+02:00") == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert system.clock.forward(timedelta(hours=1)) == system.settings.now() == datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_each_test_begins_at_noon(clock: Clock) -> None:
    assert clock.now == NOON


@pytest.mark.parametrize("kind", ["dicts", "pandas", "arrow", "csv"])
def test_a_warehouse_is_made_from_rows_of_any_kind_and_extracted(system: System, kind: str) -> None:
    rows = [{"name": "b", "distance": 1.5, "open": True}, {"name": "a", "distance": 0.0, "open": True}]
    csv = system.home / "shops.csv"
    csv.write_text("name,distance,open\nb,1.5,true\na,0.0,true\n")
    kinds: dict[str, Rows] = {
        "dicts": rows,
        "pandas": pd.DataFrame(rows),
        "arrow": pyarrow.Table.from_pylist(rows),
        "csv": csv,
    }
    system.write_tables({"source.shops": [{"old": 1}]})
    system.write_tables({"source.shops": kinds[kind]})

    snapshot = system.extract(SHOPS)
    assert snapshot.batches().read_all().to_pylist() == [
        {"name": "a", "distance": 0.0},
        {"name": "b", "distance": 1.5},
    ]
    assert snapshot.as_of == NOON
    assert system.snapshots.latest("shops") == snapshot


def test_a_warehouse_takes_now_from_the_clock(system: System) -> None:
    system.write_tables({"shops": [{"name": "a"}]})
    system.clock.set("2026-02-01")
    with system.warehouse.batches("SELECT getvariable('penstock_now') AS now FROM shops") as batches:
        assert batches.read_all()["now"].to_pylist() == [datetime(2026, 2, 1, tzinfo=UTC)]


def test_no_rows_keep_the_columns_of_an_arrow_table(system: System) -> None:
    none = as_arrow([{"name": "a", "distance": 1.0}]).slice(0, 0)
    system.write_tables({"source.shops": none})
    with system.warehouse.batches("SELECT * FROM source.shops") as batches:
        assert batches.read_all().schema == none.schema


def test_books_are_apart_from_each_other(postgres: str, book: Book, prod_book: Book, tmp_path: Path) -> None:
    another = create_book(postgres, "test")
    assert (book.name, prod_book.name, another.name) == ("test", "prod", "test")
    with book.connect() as connection:
        connection.execute("CREATE TABLE replicated.mine (key int)")
    for other in (prod_book, another):
        with other.connect() as connection:
            found = connection.execute("SELECT to_regclass('replicated.mine'), to_regclass('replicated.current')")
            assert found.fetchone() == (None, "replicated.current")


@pytest.mark.parametrize(("free", "there"), [(5e9, True), (1e9, False)])
def test_books_are_in_memory_where_there_is_room_and_what_was_left_there_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, there: bool
) -> None:
    left, ours, others = (
        tmp_path / f"penstock-tests-{name}" for name in ("999999999-a", f"{os.getpid()}-b", "no-number")
    )
    for folder in (left, ours, others):
        folder.mkdir()
    monkeypatch.setattr(books, "MEMORY", tmp_path)
    monkeypatch.setattr(books.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    made = books.folder_in_memory()
    assert (made is not None and made.parent == tmp_path) == there
    assert left.exists() != there
    assert ours.exists()
    assert others.exists()
