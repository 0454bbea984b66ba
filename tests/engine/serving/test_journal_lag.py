"""How far the journal is behind is known while it is, and nothing is left over afterwards."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.journal.writing import JournalLag
from tests.engine.serving.conftest import Service, wait_for


def test_rows_wait_from_the_answer_to_its_commit() -> None:
    lag = JournalLag()
    with lag.writing(3), lag.writing(4):
        assert lag.rows_waiting == 7
        wait_for(lambda: lag.lag > 0.01)
    assert (lag.rows_waiting, lag.lag, lag.writes) == (0, 0.0, 2)
    assert lag.seconds > 0.01


def test_a_write_that_fails_waits_no_more_and_does_not_count() -> None:
    lag = JournalLag()
    with pytest.raises(OSError, match="gone"), lag.writing(1):
        raise OSError("gone")
    assert (lag.rows_waiting, lag.writes) == (0, 0)


def test_a_locked_journal_shows_in_the_metrics(service: Service) -> None:
    def metric(name: str) -> float:
        shown = service.http.get("/metrics").text
        found = re.search(rf'^penstock_journal_{name}{{model="overflow"}} (\S+)', shown, re.M)
        assert found is not None
        return float(found[1])

    service.ask()
    assert (metric("writes_total"), metric("rows_waiting"), metric("lag_seconds")) == (1, 0, 0)
    assert metric("write_seconds_total") > 0
    with ThreadPoolExecutor() as pool, service.book.connect() as connection:
        connection.execute("LOCK TABLE app.latest_answer IN EXCLUSIVE MODE")
        asked = pool.submit(service.ask, inflow=1.0)
        wait_for(lambda: metric("rows_waiting") == 1)
        assert metric("lag_seconds") > 0
        connection.rollback()
        assert asked.result().status_code in {200, 503}
    assert metric("rows_waiting") == 0
