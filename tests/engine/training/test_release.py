from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OrdinalEncoder

from penstock.declare.model import Model
from penstock.postgres.book import Book
from penstock.releases.cards import CardStore
from penstock.releases.ledger import Proposal, ReleaseError, current, ledger, rollback
from penstock.settings import Settings
from penstock.training.candidate import Candidate
from penstock.training.gate import GateError
from penstock.training.run import TrainingRun
from tests.engine.training.tanks import CONTRACT, candidate_of, rows_of, settings_in, tank_model

Train = Callable[..., Candidate]


def boosting(iterations: int = 20) -> Any:
    from sklearn.pipeline import make_pipeline

    encoder = make_column_transformer((OrdinalEncoder(), ["site"]), remainder="passthrough")
    return make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=iterations, random_state=0))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def model() -> Model:
    return tank_model(boosting)


@pytest.fixture
def train(settings: Settings, model: Model) -> Train:
    def one(month: str = "2026-03", seed: int = 0) -> Candidate:
        training, holdout = (rows_of(settings, name, seed=seed) for name in ("2026-02", month))
        return candidate_of(settings, model, month, training, holdout)

    return one


def offer(settings: Settings, model: Model, proposal: Proposal, book: Book, **options: Any) -> Any:
    run = TrainingRun(settings, model, proposal.period)
    return run.release_to_test(proposal, book, who="me", why="test", **options)


def test_a_candidate_has_a_card_with_slices_and_the_importances_of_what_decides(
    settings: Settings, train: Train
) -> None:
    made = train()
    stored = CardStore(settings.artifacts).get(made.proposal.artifact)

    assert stored == made.card
    assert [one.name for one in stored.slices] == ["north", "south"]
    importance = {feature.name: feature.importance for feature in stored.features}
    assert importance["inflow"] > importance["level"] > 10 * abs(importance["site"])
    assert stored.training.rows == 1_500
    assert f"{stored.training.since:%Y-%m} {stored.holdout.until:%Y-%m}" == "2026-01 2026-04"


def test_a_candidate_of_another_contract_is_refused_before_anything_moves(
    settings: Settings, model: Model, train: Train, book: Book
) -> None:
    proposal = train().proposal
    stale = replace(proposal, contract="f" * 64)

    with pytest.raises(GateError, match="its contract ffffffffffff is not the running one"):
        offer(settings, model, stale, book)

    assert current(book, CONTRACT.model) is None
    assert ledger(book, CONTRACT.model) == []
    assert offer(settings, model, proposal, book).release == 1


def test_code_that_has_changed_since_training_refuses_the_candidate(
    settings: Settings, model: Model, train: Train, book: Book
) -> None:
    import msgspec

    proposal = train().proposal
    changed = replace(model, contract=msgspec.structs.replace(CONTRACT, entity=("tank", "site")))

    with pytest.raises(GateError, match="is not the running one"):
        offer(settings, changed, proposal, book)


def test_prod_takes_only_what_is_current_in_test_and_under_its_number(
    settings: Settings, model: Model, train: Train, book: Book, prod_book: Book
) -> None:
    first, second = train(), train(seed=1)

    def to_prod(made: Candidate) -> Any:
        run = TrainingRun(settings, model, made.proposal.period)
        return run.release_to_prod(made.proposal, book, prod_book, who="me", why="test")

    with pytest.raises(ReleaseError, match="Release it into TEST first"):
        to_prod(first)
    offer(settings, model, first.proposal, book)
    offer(settings, model, second.proposal, book, override=True)

    assert to_prod(second).release == 2
    rollback(book, CONTRACT.model, who="me", why="back")
    with pytest.raises(ReleaseError, match="while TEST has"):
        to_prod(second)


@pytest.mark.slow
def test_an_older_month_does_not_replace_a_newer_one_but_by_an_override_that_is_recorded(
    settings: Settings, model: Model, train: Train, book: Book
) -> None:
    offer(settings, model, train("2026-04").proposal, book)
    older = train("2026-03").proposal

    with pytest.raises(GateError, match="older than 2026-04"):
        offer(settings, model, older, book)
    entry = offer(settings, model, older, book, override=True)

    assert (entry.action, entry.gate["passed"]) == ("override", False)
    assert "older than 2026-04" in entry.gate["reasons"][0]
