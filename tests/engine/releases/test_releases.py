import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import Proposal, ReleaseError, Verdict, current, ledger, release, rollback


def proposal(artifact: str, month: str = "2026-10") -> Proposal:
    return Proposal("m", artifact, "contract", month, "training", "holdout", {"roc_auc": 0.7}, "code")


def passing(_: LedgerEntry | None) -> Verdict:
    return Verdict("release", {"passed": True})


def released(book: Book, artifact: str) -> LedgerEntry:
    return release(book, proposal(artifact), passing, who="me", why="test")


def test_nothing_is_current_before_the_first_release(book: Book) -> None:
    assert current(book, "m") is None
    assert ledger(book, "m") == []


def test_a_release_is_numbered_explained_and_current(book: Book) -> None:
    entry = released(book, "a")

    assert (entry.release, entry.action, entry.replaced, entry.why) == (1, "release", None, "test")
    assert current(book, "m") == entry


def test_what_is_current_already_is_not_released_again(book: Book) -> None:
    first = released(book, "a")

    assert released(book, "a") == first
    assert len(ledger(book, "m")) == 1


def test_a_refusing_gate_leaves_ledger_and_pointer_as_they_were(book: Book) -> None:
    first = released(book, "a")

    def refuse(before: LedgerEntry | None) -> Verdict:
        assert before == first
        raise ReleaseError("refused")

    with pytest.raises(ReleaseError):
        release(book, proposal("b"), refuse, who="me", why="test")

    assert current(book, "m") == first
    assert len(ledger(book, "m")) == 1


def test_rollback_returns_to_what_was_replaced_and_says_so_in_the_ledger(book: Book) -> None:
    for artifact in "abc":
        released(book, artifact)

    back = rollback(book, "m", who="me", why="looks off")
    further = rollback(book, "m", who="me", why="still off")

    assert (back.release, back.action, back.replaced) == (2, "rollback", 3)
    assert (further.release, further.artifact) == (1, "a")
    assert [entry.release for entry in ledger(book, "m")] == [1, 2, 3, 2, 1]


@pytest.mark.slow
def test_rollback_takes_a_moment_however_long_the_ledger(book: Book) -> None:
    for number in range(300):
        released(book, f"artifact {number}")
    begun = time.monotonic()
    back = rollback(book, "m", who="me", why="off", to=7)

    assert time.monotonic() - begun < 3.0
    assert (back.release, back.replaced) == (7, 300)


def test_rollback_to_a_version_that_never_was_is_refused(book: Book) -> None:
    released(book, "a")

    with pytest.raises(ReleaseError, match="penstock releases m"):
        rollback(book, "m", who="me", why="x", to=9)
    with pytest.raises(ReleaseError, match="release 1 is the first"):
        rollback(book, "m", who="me", why="x")


def test_an_artifact_keeps_its_version_when_it_is_released_again(book: Book) -> None:
    for artifact in "ab":
        released(book, artifact)

    assert released(book, "a").release == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE app.release SET why = 'x'", "DELETE FROM app.release", "TRUNCATE app.release CASCADE"]
)
def test_the_database_itself_keeps_the_ledger_append_only(book: Book, statement: str) -> None:
    released(book, "a")

    with book.connect() as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute(statement)


def test_releasers_at_once_are_judged_one_after_the_other_against_the_one_before(book: Book) -> None:
    seen: dict[str, int | None] = {}

    def one(artifact: str) -> None:
        def judge(before: LedgerEntry | None) -> Verdict:
            seen[artifact] = before.release if before else None
            return Verdict("release", {})

        release(book, proposal(artifact), judge, who=artifact, why="race")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, "abcdefgh"))

    entries = list(reversed(ledger(book, "m")))
    assert [entry.release for entry in entries] == list(range(1, 9))
    assert [entry.replaced for entry in entries] == [None, *range(1, 8)]
    assert {entry.artifact: entry.replaced for entry in entries} == seen


def test_a_move_of_the_pointer_is_announced(book: Book) -> None:
    with book.connect(autocommit=True) as listener:
        listener.execute("LISTEN penstock")
        released(book, "a")
        heard = next(iter(listener.notifies(timeout=5, stop_after=1)))

    assert heard.payload == "release m 1"
