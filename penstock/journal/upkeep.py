"""Upkeep of a book's journal: its coming days are made, and old ones dropped when nobody has to wait for it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from penstock.journal.reading import DAYS_AHEAD, KEEP_DAYS
from penstock.postgres.blocking import lasting_holders
from penstock.postgres.book import Book
from penstock.settings import BookName

PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.5
BATCH = 5000

_DUE = """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'app.prediction'::regclass
        AND c.relname < 'prediction_' || to_char((now() AT TIME ZONE 'UTC')::date - %s::int, 'YYYYMMDD')
    ORDER BY c.relname"""


@dataclass(frozen=True)
class Upkeep:
    """What upkeep did in a book.

    - `made` days are new, of which `days_ahead` lie after today.
    - `dropped` and `due` are partitions: those that went, and those that stay until the next time, because `blocked_by`
      names who reads the journal.
    - `answers` of the latest ones were older than the journal and went."""

    book: BookName
    made: int
    days_ahead: int
    dropped: Sequence[str]
    due: Sequence[str]
    blocked_by: str
    answers: int

    def __str__(self) -> str:
        text = f"{self.book.upper()}: {self.made} days made, {self.days_ahead} lie ahead; {len(self.dropped)} dropped"
        if self.due:
            text += f"; {len(self.due)} stay until the next time, because of {self.blocked_by}"
        return text


def days_ahead(connection: psycopg.Connection) -> int:
    """For how many days after today the journal has partitions; -1 where not even for today."""
    row = connection.execute(DAYS_AHEAD.encode()).fetchone()
    return int(row[0]) if row else -1


def keep_up(book: Book, keep: int = KEEP_DAYS, patience: float = PATIENCE_SECONDS) -> Upkeep:
    """Make the journal's coming days, and drop what is older than `keep` days.

    A day is dropped when no transaction holds the journal for long; nobody who reads or journals waits for that more
    than 100 ms. A day for which that moment does not come within `patience` seconds stays until the next time.
    """
    with book.connect(autocommit=True) as connection:
        row = connection.execute("SELECT app.prepare_journal()").fetchone()
        dropped, blocked_by = _drop_due(connection, keep, patience)
        due = [name for (name,) in connection.execute(_DUE, (keep,))]
        answers = _delete_old_answers(connection, keep)
        made = row[0] if row else 0
        return Upkeep(book.name, made, days_ahead(connection), dropped, due, blocked_by, answers)


def _drop_due(connection: psycopg.Connection, keep: int, patience: float) -> tuple[list[str], str]:
    """Drop one due day after the other; what went, and who is in the way of the rest."""
    until, dropped = time.monotonic() + patience, list[str]()
    while (due := connection.execute(_DUE, (keep,)).fetchone()) is not None:
        blocked_by = lasting_holders(connection, ("app.prediction", f"app.{due[0]}"))
        if not blocked_by:
            try:
                connection.execute("SELECT app.drop_oldest_journal_day(%s)", (keep,))
            except psycopg.errors.LockNotAvailable:
                blocked_by = "transactions that follow each other without a moment between them"
            else:
                dropped.append(due[0])
                continue
        if time.monotonic() >= until:
            return dropped, blocked_by
        time.sleep(PAUSE_SECONDS)
    return dropped, ""


def _delete_old_answers(connection: psycopg.Connection, keep: int) -> int:
    """Delete the latest answers that are older than the journal, in batches that are committed one by one."""
    deleted = 0
    while True:
        row = connection.execute("SELECT app.delete_old_answers(%s, %s)", (keep, BATCH)).fetchone()
        if row is None or row[0] == 0:
            return deleted
        deleted += row[0]
