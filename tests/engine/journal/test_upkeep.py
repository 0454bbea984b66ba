"""Upkeep of the journal belongs to Dagster, and nobody who asks or journals waits for it."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from penstock.graph.environment import Environment
from penstock.graph.journal_upkeep import journal_upkeep
from penstock.journal import upkeep
from penstock.journal.upkeep import keep_up
from penstock.postgres.book import Book
from penstock.testing import System
from tests.engine.serving.conftest import Service, wait_for

YESTERDAY = 0
"""Days to keep, with which the one partition of yesterday is due."""
PATIENCE = 4.0
"""Seconds that the upkeep waits for the reader: an answer that waited too would take as long."""


@contextmanager
def asking(service: Service, statuses: list[int], slowest: list[float]) -> Iterator[None]:
    """Ask all the time while the context is open."""
    ended = threading.Event()

    def ask() -> None:
        n = 0
        while not ended.is_set():
            began, n = time.monotonic(), n + 1
            statuses.append(service.ask(tank=f"t{n}", inflow=float(n % 900)).status_code)
            slowest[0] = max(slowest[0], time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_a_day_that_somebody_reads_is_dropped_later_and_nobody_waits(service: Service, book: Book) -> None:
    statuses, slowest = list[int](), [0.0]
    with asking(service, statuses, slowest):
        with book.connect() as analyst:
            analyst.execute("SELECT count(*) FROM app.journal")
            waited = keep_up(book, keep=YESTERDAY, patience=PATIENCE)
            assert (len(waited.dropped), len(waited.due)) == (0, 1)
            assert f"process {analyst.info.backend_pid} (penstock, user postgres, idle in transaction" in str(waited)
            assert "1 stay until the next time, because of process" in str(waited)
        answered = len(statuses)
        done = keep_up(book, keep=YESTERDAY)
        wait_for(lambda: len(statuses) > answered + 20)
    assert (done.dropped, done.due) == (waited.due, [])
    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert slowest[0] < PATIENCE / 2
    assert service.journal() == len(statuses)


def test_old_answers_go_in_batches_and_one_that_is_being_replaced_stays(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    with book.connect() as connection:
        connection.execute(
            "INSERT INTO app.latest_answer (model, entity, id, input, looked_up, release, origin, prediction)"
            " SELECT 'm', n::text::bytea, app.first_id(now() - make_interval(days => n * 100)), 'i', 'l', 1, 1, '1'"
            " FROM generate_series(0, 9) AS n"
        )
    with book.connect() as replacing:
        replacing.execute("SELECT FROM app.latest_answer WHERE entity = '9' FOR UPDATE")
        assert keep_up(book).answers == 4
    assert keep_up(book).answers == 1
    with book.connect() as connection:
        left = connection.execute("SELECT entity FROM app.latest_answer ORDER BY 1").fetchall()
    assert [bytes(entity) for (entity,) in left] == [b"0", b"1", b"2", b"3", b"4"]


def test_the_asset_makes_the_coming_days_of_both_journals_and_says_what_stays(system: System) -> None:
    def materialize() -> dict[str, object]:
        done = dg.materialize([journal_upkeep()], resources={"environment": Environment()})
        (made,) = done.get_asset_materialization_events()
        return dict(made.materialization.metadata)

    with system.test.connect() as connection:
        connection.execute("SELECT app.prepare_journal(32)")
        connection.execute("CREATE TABLE app.prediction_20200101 (LIKE app.prediction INCLUDING ALL)")
        connection.execute(
            "ALTER TABLE app.prediction ATTACH PARTITION app.prediction_20200101"
            " FOR VALUES FROM (app.first_id('2020-01-01Z')) TO (app.first_id('2020-01-02Z'))"
        )
    told = materialize()
    assert told["days_ahead"] == dg.MetadataValue.int(30)
    assert [(row.data["book"], row.data["days_dropped"]) for row in told["journals"].records] == [  # type: ignore[attr-defined]
        ("test", 1),
        ("prod", 0),
    ]


@pytest.mark.slow
def test_a_replica_warns_while_few_days_lie_ahead_and_makes_none(
    service: Service, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = service.app.watcher
    with book.connect() as connection:
        connection.execute(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT c.oid::regclass FROM pg_inherits i JOIN pg_class c"
            " ON c.oid = i.inhrelid WHERE i.inhparent = 'app.prediction'::regclass ORDER BY c.relname OFFSET 5"
            " LOOP EXECUTE 'DROP TABLE ' || name; END LOOP; END $$"
        )
    with caplog.at_level(logging.WARNING, "penstock.serve"):
        watcher._journal_at = 0.0
        wait_for(lambda: watcher._journal_at > 0.0)
    assert "the journal has partitions for 3 more days" in caplog.text
    with book.connect() as connection:
        assert upkeep.days_ahead(connection) == 3
