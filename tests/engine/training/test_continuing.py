from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from penstock.artifact import load as artifacts
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import current, rollback
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training.candidate import Candidate, make_candidate
from penstock.training.continuing import start_of
from penstock.training.run import TrainingRun
from tests.engine.training.tanks import CONTRACT, rows_of, settings_in, tank_model

How = Literal["", "partial_fit", "warm_start"]


def pipeline(last: Any) -> Any:
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["site"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["inflow", "level"]),
    )
    return make_pipeline(encoder, last)


def line() -> Any:
    return pipeline(SGDClassifier(loss="log_loss", random_state=0))


def forest() -> Any:
    return pipeline(RandomForestClassifier(5, max_depth=4, random_state=0))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


class Months:
    """Trains and releases one month after the other."""

    def __init__(self, settings: Settings, book: Book, estimator: Callable[[], Any], how: How) -> None:
        self.settings, self.book = settings, book
        self.model = tank_model(estimator, continues=how, floor=0.6, margin=0.1)
        self.store = ArtifactStore(settings.artifacts)
        self.said: list[str] = []

    def train(self, month: str) -> Candidate:
        start = start_of(
            self.model,
            month,
            current(self.book, CONTRACT.model),
            store=self.store,
            snapshots=SnapshotStore(self.settings.snapshots),
            cache=self.settings.home / "cache",
            say=self.said.append,
        )
        window = rows_of(self.settings, "2025-12", rows=3_000, step="window")
        holdout = rows_of(self.settings, month)
        held_out = TrainingRun(self.settings, self.model, month).held_out(holdout.id)
        return make_candidate(self.model, month, window, held_out, self.store, code_version="test", start=start)

    def release(self, made: Candidate) -> LedgerEntry:
        run = TrainingRun(self.settings, self.model, made.proposal.period)
        return run.release_to_test(made.proposal, self.book, who="me", why="test")


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "how"), [(line, "partial_fit"), (forest, "warm_start")])
def test_each_month_goes_on_from_the_release_before_on_its_new_rows_only(
    settings: Settings, book: Book, estimator: Callable[[], Any], how: How
) -> None:
    months = Months(settings, book, estimator, how)
    first = months.train("2026-01")
    one = months.release(first)
    second = months.train("2026-02")
    two = months.release(second)
    third = months.train("2026-03")
    metadata = artifacts.load(months.store.fetch(two.artifact, settings.home / "cache")).metadata

    assert first.card.continues == ""
    assert (second.proposal.training_snapshot, third.proposal.training_snapshot) == (
        one.holdout_snapshot,
        two.holdout_snapshot,
    )
    assert metadata["continues"] == one.artifact
    assert second.card.continues.startswith(f"{how} from release 1")
    assert second.training_rows == 1_500
    assert f"{second.card.training.since:%Y-%m}" == "2026-01"
    assert months.said[0].endswith("there is no release to go on from")
    assert months.said[1:] == ["going on from release 1", "going on from release 2"]
    assert third.proposal.metrics["roc_auc"] > 0.85


@pytest.mark.slow
def test_going_on_gives_what_scikit_learn_gives_without_the_store(settings: Settings, book: Book) -> None:
    months = Months(settings, book, line, "partial_fit")
    months.release(months.train("2026-01"))
    made = months.train("2026-02")

    from penstock.training.frame import feature_frame, training_rows

    snapshots = (rows_of(settings, "2025-12", rows=3_000, step="window"), rows_of(settings, "2026-01"))
    window, january = (training_rows(months.model, s.batches().read_all()) for s in snapshots)
    by_hand = line().fit(feature_frame(window.vectors), window.outcome)
    by_hand[-1].partial_fit(by_hand[:-1].transform(feature_frame(january.vectors)), january.outcome)
    packed = artifacts.load(months.store.fetch(made.proposal.artifact, settings.home / "cache"))
    expected = by_hand.predict_proba(feature_frame(january.vectors))

    assert np.max(np.abs(packed.predict(january.vectors) - expected)) < 1e-12


@pytest.mark.slow
def test_training_a_month_again_gives_the_same_artifact(settings: Settings, book: Book) -> None:
    months = Months(settings, book, line, "partial_fit")
    months.release(months.train("2026-01"))

    assert months.train("2026-02").proposal.artifact == months.train("2026-02").proposal.artifact


@pytest.mark.slow
def test_a_month_is_trained_anew_where_it_does_not_follow_the_release(settings: Settings, book: Book) -> None:
    months = Months(settings, book, line, "partial_fit")
    months.release(months.train("2026-01"))

    assert months.train("2026-04").card.continues == ""
    assert "release 1 is of 2026-01, not of the period before 2026-04" in months.said[-1]


@pytest.mark.slow
def test_after_a_rollback_the_month_goes_on_from_what_was_rolled_back_to(settings: Settings, book: Book) -> None:
    months = Months(settings, book, line, "partial_fit")
    for month in ("2026-01", "2026-02"):
        months.release(months.train(month))
    rollback(book, CONTRACT.model, who="me", why="off")

    assert "from release 1" in months.train("2026-02").card.continues


@pytest.mark.slow
def test_an_estimator_that_cannot_go_on_is_refused_by_name(settings: Settings, book: Book) -> None:
    def boosting() -> Any:
        return pipeline(HistGradientBoostingClassifier(max_iter=5, random_state=0))

    for how in ("partial_fit", "warm_start"):
        months = Months(settings, book, boosting, how)  # type: ignore[arg-type]
        if current(book, CONTRACT.model) is None:
            months.release(months.train("2026-01"))
        with pytest.raises(PenstockError, match=f"continues by {how}.*HistGradientBoostingClassifier"):
            months.train("2026-02")
