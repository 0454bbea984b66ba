"""The lookup statement: as of, missing, pinned, exact, and one for any number of requests."""

from datetime import timedelta

import numpy as np
import pytest

from penstock.contract.columns import column
from penstock.lookups.look_up import look_up_now
from penstock.lookups.statement import LookupFailure, LookupStatement
from penstock.postgres.book import Book
from penstock.postgres.pointer import PinnedTable
from tests.engine.serving import toy
from tests.engine.serving.toy import TankRequest


def request(tank: str, hours: float) -> TankRequest:
    return TankRequest(tank=tank, valve=3, asked_at=toy.START + timedelta(hours=hours))


def pointers(book: Book) -> dict[str, PinnedTable]:
    with book.connect() as connection:
        rows = connection.execute("SELECT table_name, snapshot, physical FROM replicated.current").fetchall()
    return {row[0]: PinnedTable(*row) for row in rows}


def test_each_request_finds_the_newest_row_not_after_its_as_of_time(book: Book) -> None:
    toy.publish_all(book)
    hours = [-0.1, 0, 0.5, 1, 8.999999, 9, 100]
    looked, _ = look_up_now(book.url, toy.CONTRACT, [request("t3", h) for h in hours])
    expected = [None, *(1.0 + 3 / 3 + h / 10 for h in (0, 0, 1, 8, 9, 9))]
    np.testing.assert_array_equal(looked.columns["level.level"], column(expected, "number"))
    assert looked.missing == [("level",)] + [()] * 6
    assert looked.columns["level.measured_at"][3] == np.datetime64("2026-01-01T01:00:00", "us")
    assert np.isnat(looked.columns["level.measured_at"][0])


def test_thousands_of_requests_give_what_each_gives_alone(book: Book) -> None:
    toy.publish_all(book)
    requests = [request(f"t{n % 55}", n % 13) for n in range(3000)]
    many, snapshots = look_up_now(book.url, toy.CONTRACT, requests)
    assert set(snapshots) == {"tanks", "levels", "valves"}
    for index in (0, 53, 1234, 2999):
        alone, _ = look_up_now(book.url, toy.CONTRACT, [requests[index]])
        assert alone.rows[0] == many.rows[index]
        assert alone.missing[0] == many.missing[index]
        for name, values in alone.columns.items():
            np.testing.assert_array_equal(values, many.columns[name][index : index + 1])


def test_rows_come_back_from_their_json_to_the_bit(book: Book) -> None:
    toy.publish_all(book)
    heights = [float("inf"), float("-inf"), 0.1 + 0.2, 5e-324, -0.0]
    rows = [(f"t{n}", height, None) for n, height in enumerate(heights)]
    toy.publish(book, "tanks", 'name text COLLATE "C", height float8, shape text', rows, "name")
    requests = [request(f"t{n}", 3) for n in range(6)]
    looked, _ = look_up_now(book.url, toy.CONTRACT, requests)
    again = LookupStatement(toy.CONTRACT, pointers(book)).decode_rows(looked.rows)
    assert again.missing == looked.missing
    assert looked.columns.keys() == again.columns.keys() > {"tank.height"}
    for name, values in looked.columns.items():
        assert again.columns[name].dtype == values.dtype
        assert again.columns[name].tolist() == values.tolist() or values.tobytes() == again.columns[name].tobytes()


def test_pinned_pointers_read_an_earlier_snapshot(book: Book) -> None:
    toy.publish_all(book)
    before = pointers(book)
    toy.publish_tanks(book, height=100.0)
    asked = [request("t7", 1)]
    now, _ = look_up_now(book.url, toy.CONTRACT, asked)
    then, snapshots = look_up_now(book.url, toy.CONTRACT, asked, before)
    assert (now.columns["tank.height"][0], then.columns["tank.height"][0]) == (101.0, 6.0)
    assert snapshots == {table: pointer.snapshot for table, pointer in before.items()}


def test_a_table_that_was_never_published_is_named(book: Book) -> None:
    with pytest.raises(LookupFailure, match="penstock publish tanks"):
        look_up_now(book.url, toy.CONTRACT, [request("t1", 1)])
