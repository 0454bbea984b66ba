"""The steps of one training run share its held-out rows and their scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.releases.ledger import current
from penstock.settings import Settings
from penstock.training import held_out
from penstock.training.candidate import Candidate
from penstock.training.gate import Decision
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew, SkewError
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import rows_of, settings_in

NOTHING_DIFFERS = Skew(0, {}, {})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def model() -> Model:
    return declared().model("overflow")


def trained(run: TrainingRun, test: Book) -> Candidate:
    training, holdout = rows_of(run.settings, "2026-02"), rows_of(run.settings, run.period)
    return run.train(training, holdout, NOTHING_DIFFERS, test, lambda _: None)


def released(run: TrainingRun, made: Candidate, test: Book, prod: Book) -> list[Decision]:
    """The decisions of both gates."""
    entries = (
        run.release_to_test(made.proposal, test, who="me", why="test"),
        run.release_to_prod(made.proposal, test, prod, who="me", why="test"),
    )
    return [entry.gate for entry in entries]


def test_a_run_reads_its_held_out_rows_once_and_scores_and_compares_each_artifact_once(
    settings: Settings, model: Model, book: Book, prod_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = TrainingRun(settings, model, "2026-03")
    released(first, trained(first, book), book, prod_book)
    calls: list[str] = []

    def count(name: str, function: Any) -> None:
        def counted(*given: Any, **more: Any) -> Any:
            calls.append(name)
            return function(*given, **more)

        monkeypatch.setattr(held_out, name, counted)

    for name in ("read_rows", "compare", "score_of"):
        count(name, getattr(held_out, name))
    run = TrainingRun(settings, model, "2026-04")
    made = trained(run, book)
    before = current(book, run.name)
    decision = run.judge(made.proposal, before)
    gates = released(run, made, book, prod_book)

    assert sorted(calls) == ["compare", "read_rows", "score_of"]  # the only score computed is that of the first release
    assert decision.current is not None
    assert gates[0] == gates[1]
    assert gates[0]["interval"] == list(decision.interval or ())
    assert TrainingRun(settings, model, "2026-04").judge(made.proposal, before) == decision


def test_nothing_is_trained_where_training_and_serving_differ(settings: Settings, model: Model, book: Book) -> None:
    run = TrainingRun(settings, model, "2026-03")
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03")
    differ = replace(NOTHING_DIFFERS, differing={"inflow": {"row": "7", "trained": "1.0", "served": "2.0"}})
    said: list[str] = []

    with pytest.raises(SkewError, match=r"feature 'inflow' of model 'overflow'.*row 7"):
        run.train(training, holdout, differ, book, said.append)
    assert said == []


def test_a_month_without_rows_says_what_to_materialize(settings: Settings, model: Model) -> None:
    with pytest.raises(PenstockError, match=r"holdout_set of 2026-03.*Materialize overflow/holdout_set for 2026-03"):
        TrainingRun(settings, model, "2026-03").latest("holdout_set")
