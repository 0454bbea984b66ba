"""Old artifacts, estimators and cards go; what serves, could serve again, is young or may be replayed stays."""

import os
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import CardStore
from penstock.releases.ledger import Proposal, Verdict, release, rollback
from penstock.retention.models import ModelRetention, drop, droppable
from tests.engine.cards import card

DAY = 86_400.0
STRICT = ModelRetention(previous=1, young=timedelta(days=30), replayable=timedelta(0))


class Store:
    """An artifact store whose files are 100 days old, and a node's cache of it."""

    def __init__(self, folder: Path) -> None:
        self.url, self.cache, self._folder = str(folder / "store"), folder / "cache", folder
        self.artifacts, self.estimators = ArtifactStore(self.url), ArtifactStore(f"{self.url}/estimators")

    def add(self, number: int, *, estimator: str = "", days: float = 100) -> str:
        """An artifact with its card, and with the named estimator; its digest."""
        path = self._folder / "model"
        model = Ridge().fit(np.arange(4.0)[:, None], np.arange(4.0) * number)
        metadata = {"estimator": self.estimator(estimator)} if estimator else {}
        pack(model, path, features=[Feature("x", "number")], metadata=metadata | {"number": number})
        digest = self.artifacts.put(path)
        CardStore(self.url).put(card(digest))
        self.artifacts.fetch(digest, self.cache)
        for file in Path(self.url).rglob("*"):
            if file.is_file() and (digest in file.name or file.parent.name == "estimators"):
                os.utime(file, (time.time() - days * DAY,) * 2)
        return digest

    def estimator(self, content: str) -> str:
        path = self._folder / "estimator"
        path.write_text(content)
        return self.estimators.put(path)

    def left(self) -> set[str]:
        """What is there: the first letter of the kind, and the digest."""
        kinds = {"store": "a", "estimators": "e", "cards": "c"}
        return {f"{kinds[file.parent.name]}{file.stem}" for file in Path(self.url).rglob("*") if file.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def move(book: Book, artifact: str, model: str = "m") -> None:
    proposal = Proposal(model, artifact, "contract", "2026-10", "", "", {}, "code")
    release(book, proposal, lambda _: Verdict("release", {}), who="me", why="test")


def grow_old(book: Book, each: str = "1 day") -> None:
    """Move the ledger's entries into the past, one after the other."""
    with book.connect(autocommit=True) as connection:
        connection.execute("ALTER TABLE app.release DISABLE TRIGGER append_only")
        newest = "(SELECT max(entry) FROM app.release)"
        connection.execute(f"UPDATE app.release SET at = at - interval '{each}' * ({newest} - entry + 1)")


def test_only_the_current_release_and_those_before_it_stay_in_whichever_book(
    store: Store, book: Book, prod_book: Book
) -> None:
    oldest, old, before, now, prod_only, never = (store.add(number) for number in range(6))
    for artifact in (oldest, old, before, now):
        move(book, artifact)
    move(prod_book, prod_only)
    grow_old(book)

    found = droppable(store.url, [book, prod_book], STRICT)

    assert {(one.kind, one.digest) for one in found} == {
        (kind, digest) for kind in ("artifact", "card") for digest in (oldest, old, never)
    }
    assert droppable(store.url, [book, prod_book], STRICT) == found
    gone = drop(store.url, [book, prod_book], found, STRICT, cache=store.cache)
    assert gone == found
    assert store.left() == {f"{kind}{digest}" for kind in "ac" for digest in (before, now, prod_only)}
    assert {file.stem for file in store.cache.iterdir()} == {before, now, prod_only}
    assert droppable(store.url, [book, prod_book], STRICT) == []


def test_each_model_keeps_its_own(store: Store, book: Book) -> None:
    first, second = store.add(1), store.add(2)
    move(book, first, "one")
    move(book, second, "two")

    assert droppable(store.url, [book], ModelRetention(previous=0, replayable=timedelta(0))) == []


def test_after_a_rollback_what_is_current_and_what_it_replaced_stay(store: Store, book: Book) -> None:
    first, middle, last = (store.add(number) for number in range(3))
    for artifact in (first, middle, last):
        move(book, artifact)
    rollback(book, "m", who="me", why="off", to=1)
    grow_old(book)

    assert {one.digest for one in droppable(store.url, [book], STRICT)} == {middle}


def test_a_release_that_may_have_to_be_replayed_stays(store: Store, book: Book) -> None:
    for number in range(4):
        move(book, store.add(number))
    grow_old(book, "10 days")

    def kept(days: int) -> int:
        policy = ModelRetention(previous=0, replayable=timedelta(days=days))
        return 4 - len({one.digest for one in droppable(store.url, [book], policy)})

    assert [kept(days) for days in (5, 15, 25, 400)] == [1, 2, 3, 4]


def test_a_young_candidate_stays_though_it_was_never_released(store: Store, book: Book) -> None:
    young, old = store.add(1, days=2), store.add(2)

    assert {one.digest for one in droppable(store.url, [book], STRICT)} == {old}
    store.artifacts.put(store.artifacts.fetch(old, store.cache))
    assert droppable(store.url, [book], STRICT) == [], "an artifact that was made again is young again"
    assert young in {name[1:] for name in store.left()}


def test_an_estimator_stays_with_its_artifact_and_goes_with_it(store: Store, book: Book) -> None:
    kept, gone = store.add(1, estimator="kept"), store.add(2, estimator="gone")
    move(book, kept)
    found = droppable(store.url, [book], STRICT)

    assert {(one.kind, one.digest) for one in found} == {
        ("artifact", gone),
        ("card", gone),
        ("estimator", store.estimator("gone")),
    }


def test_what_is_released_between_showing_and_dropping_stays(store: Store, book: Book) -> None:
    artifact = store.add(1)
    found = droppable(store.url, [book], STRICT)
    move(book, artifact)

    assert len(found) == 2
    assert drop(store.url, [book], found, STRICT, cache=store.cache) == []
    assert store.left() == {f"a{artifact}", f"c{artifact}"}


def test_an_object_store_is_kept_small_too(book: Book, tmp_path: Path) -> None:
    url = "memory://old-models"
    path = tmp_path / "model"
    pack(Ridge().fit([[1.0], [2.0]], [1.0, 2.0]), path, features=[Feature("x", "number")], metadata={})
    ArtifactStore(url).put(path)
    policy = ModelRetention(young=timedelta(0))
    found = droppable(url, [book], policy)

    assert [one.kind for one in found] == ["artifact"]
    assert drop(url, [book], found, policy, cache=tmp_path) == found
    assert droppable(url, [book], policy) == []
