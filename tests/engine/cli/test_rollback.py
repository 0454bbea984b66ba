import pytest
from click.testing import CliRunner

from penstock.cli.main import penstock
from penstock.postgres.book import Books
from penstock.releases.ledger import Proposal, Verdict, current, ledger, release
from penstock.testing import System

MODEL = "flight_delay"


@pytest.fixture
def books(system: System) -> Books:
    """Two books with three releases each; there is neither an artifact nor a snapshot on this machine."""
    for where in (system.test, system.prod):
        for artifact in "abc":
            proposal = Proposal(MODEL, artifact * 64, "contract", "2026-10", "", "", {}, "code")
            release(where, proposal, lambda _: Verdict("release", {}), who="me", why="test")
    return Books(system.test, system.prod)


def test_rollback_moves_both_books_and_tells_the_replicas_without_reading_any_artifact(
    books: Books,
) -> None:
    with books.prod.connect(autocommit=True) as listener:
        listener.execute("LISTEN penstock")
        result = CliRunner().invoke(penstock, ["rollback", MODEL, "--why", "late share looks off"])
        heard = next(iter(listener.notifies(timeout=5, stop_after=1)))

    assert result.exit_code == 0, result.output
    assert heard.payload == f"release {MODEL} 2"
    assert "release 2 was compared with none" in result.output, "no service runs"
    assert "PROD serves release 2 of flight_delay, instead of 3." in result.output
    for book in (books.test, books.prod):
        entry = current(book, MODEL)
        assert entry is not None
        assert (entry.release, entry.action, entry.why) == (2, "rollback", "late share looks off")


def test_rollback_to_a_version_moves_only_the_book_that_is_named(books: Books) -> None:
    CliRunner().invoke(penstock, ["rollback", MODEL, "--to", "1", "--book", "test", "--why", "x"])

    assert [len(ledger(book, MODEL)) for book in books] == [4, 3]


def test_rollback_without_a_reason_is_refused(books: Books) -> None:
    result = CliRunner().invoke(penstock, ["rollback", MODEL])

    assert result.exit_code == 2
    assert "--why" in result.output
