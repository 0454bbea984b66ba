"""Whatever happens in whatever order, the pointer is what the newest ledger entry says, and the rule allowed it."""

import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from penstock.postgres.book import Book
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import Proposal, ReleaseError, Verdict, current, ledger, release, rollback

QUALITIES = st.integers(0, 9)
KILL = """SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
HANGS_MIDWAY = """
import sys, time
from penstock.releases import ledger as releases
from penstock.postgres.book import Book
where, url, model = sys.argv[1:]
move = releases._move
def hang(entry):
    print("midway", flush=True)
    time.sleep(60)
    return entry
def judge(before):
    return hang(releases.Verdict("release", {})) if where == "judging" else releases.Verdict("release", {})
releases._move = lambda connection, values: hang(move(connection, values))
proposal = releases.Proposal(model, "9-killed", "contract", "2026-10", "training", "holdout", {}, "code")
releases.release(Book("test", url), proposal, judge, who="killed", why="never")
"""


def quality(artifact: str) -> int:
    """Artifacts of these tests are named by how good they are."""
    return int(artifact[0])


def offer(book: Book, model: str, wanted: int, *, override: bool = False, die: bool = False) -> LedgerEntry:
    """Release an artifact of the wanted quality by the rule "not worse", or die inside the transaction."""

    def judge(before: LedgerEntry | None) -> Verdict:
        if die:
            with book.connect(autocommit=True) as other:
                other.execute(KILL)
        if before is None or wanted >= quality(before.artifact):
            return Verdict("release", {})
        if override:
            return Verdict("override", {})
        raise ReleaseError("worse than the current release")

    proposal = Proposal(model, f"{wanted}-artifact", "contract", "2026-10", "training", "holdout", {}, "code")
    return release(book, proposal, judge, who="me", why="test")


def demand_explained(book: Book, model: str) -> list[LedgerEntry]:
    """The ledger, oldest first, after a check that it explains the pointer and that the rule allows each move."""
    entries = list(reversed(ledger(book, model, limit=10_000)))
    pointer = current(book, model)
    assert pointer == (entries[-1] if entries else None)
    with book.connect() as connection:
        query = "SELECT entry, release, artifact, contract FROM app.current_release WHERE model = %s"
        stored = connection.execute(query, (model,)).fetchone()
    assert (
        stored is None
        if pointer is None
        else stored
        == (
            pointer.entry,
            pointer.release,
            pointer.artifact,
            pointer.contract,
        )
    )
    names: dict[int, str] = {}
    before = None
    for entry in entries:
        assert entry.replaced == (before.release if before else None)
        assert before is None or entry.artifact != before.artifact
        if entry.action == "release" and before is not None:
            assert quality(entry.artifact) >= quality(before.artifact)
        if entry.action == "rollback":
            assert entry.release in names
        assert names.setdefault(entry.release, entry.artifact) == entry.artifact
        before = entry
    assert len(set(names.values())) == len(names)
    return entries


class OneAfterTheOther(RuleBasedStateMachine):
    """Releases, overrides, rollbacks and dying releasers, against what the pointer must be after each."""

    book: Book

    @initialize()
    def begin(self) -> None:
        self.model = f"m{uuid.uuid4().hex}"
        self.expected: list[str] = []

    @property
    def now(self) -> str | None:
        return self.expected[-1] if self.expected else None

    @rule(wanted=QUALITIES, override=st.booleans())
    def offer(self, wanted: int, override: bool) -> None:
        artifact = f"{wanted}-artifact"
        if self.now is not None and wanted < quality(self.now) and not override:
            with pytest.raises(ReleaseError):
                offer(self.book, self.model, wanted)
            return
        entry = offer(self.book, self.model, wanted, override=override)
        assert entry.artifact == artifact
        if self.now != artifact:
            self.expected.append(artifact)

    @rule(wanted=QUALITIES, override=st.booleans())
    def die_while_offering(self, wanted: int, override: bool) -> None:
        if self.now != f"{wanted}-artifact":
            with pytest.raises((psycopg.Error, ReleaseError)):
                offer(self.book, self.model, wanted, override=override, die=True)

    @rule(to=st.none() | st.integers(1, 5))
    def roll_back(self, to: int | None) -> None:
        try:
            entry = rollback(self.book, self.model, who="me", why="test", to=to)
        except ReleaseError:
            return
        assert self.now is not None
        assert entry.artifact in self.expected
        assert to in {None, entry.release}
        if self.now != entry.artifact:
            self.expected.append(entry.artifact)

    @invariant()
    def the_ledger_explains_the_pointer(self) -> None:
        if hasattr(self, "model"):
            assert [entry.artifact for entry in demand_explained(self.book, self.model)] == self.expected


@pytest.mark.slow
def test_any_sequence_of_moves_leaves_the_pointer_explained(book: Book) -> None:
    machine = type("OnThisBook", (OneAfterTheOther,), {"book": book})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))


MOVES: st.SearchStrategy[Callable[[Book, str], Any]] = st.one_of(
    st.builds(
        lambda wanted, override, die: lambda book, model: offer(book, model, wanted, override=override, die=die),
        QUALITIES,
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        lambda to: lambda book, model: rollback(book, model, who="me", why="race", to=to),
        st.none() | st.integers(1, 4),
    ),
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(MOVES, min_size=2, max_size=4), min_size=1, max_size=4))
def test_movers_at_once_some_of_them_dying_leave_the_pointer_explained(
    book: Book, rounds: list[list[Callable[[Book, str], Any]]]
) -> None:
    model = f"m{uuid.uuid4().hex}"

    def move(one: Callable[[Book, str], Any]) -> LedgerEntry | None:
        try:
            return one(book, model)  # type: ignore[no-any-return]  # each gives the entry that it made
        except (ReleaseError, psycopg.Error):
            return None

    done: set[int] = set()
    with ThreadPoolExecutor(4) as pool:
        for moves in rounds:
            done |= {entry.entry for entry in pool.map(move, moves) if entry is not None}

    assert {entry.entry for entry in demand_explained(book, model)} == done


@pytest.mark.parametrize("where", ["judging", "moving"])
def test_a_releaser_killed_midway_changes_nothing_and_holds_nobody_up(book: Book, where: str) -> None:
    first = offer(book, "m", 3)
    killed = subprocess.Popen(
        [sys.executable, "-c", HANGS_MIDWAY, where, book.url, "m"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "midway\n"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(offer, book, "m", 4)
            assert current(book, "m") == first
            assert not waiting.done()
            killed.kill()
            second = waiting.result(timeout=30)
    finally:
        killed.kill()
        killed.wait()
        killed.stdout.close()

    assert second.replaced == first.release
    assert [entry.artifact for entry in demand_explained(book, "m")] == ["3-artifact", "4-artifact"]
