"""Intervals and sets hold what they promise: exact quantiles, coverage, the gate's and the card's words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.artifact import load as artifacts
from penstock.artifact.conformal import Conformal
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.card_text import markdown
from penstock.snapshots.store import SnapshotStore
from penstock.training.candidate import Candidate, make_candidate
from penstock.training.conformal import Coverage, calibrate, calibrating, coverage
from penstock.training.gate import compare, decide
from penstock.training.held_out import HeldOut
from tests.engine.training.tanks import settings_in
from tests.engine.training.test_tasks import month_of, several, value


def test_the_quantile_is_that_of_the_corrected_rank_of_the_half_that_calibrates() -> None:
    model = replace(value(), interval=0.9)
    outcome = np.zeros(38)
    outcome[calibrating(38)] = np.arange(1, 20)  # 19 calibrating errors, 1 to 19: ceil(20 * 0.9) is the 18th
    assert calibrate(model, np.zeros(38), outcome) == Conformal(0.9, 18.0, 19)
    nine = np.zeros(18)
    nine[calibrating(18)] = np.arange(1, 10)
    assert calibrate(model, np.zeros(18), nine).quantile == 9.0, "of 9 + 1 rows 0.9 is the ninth"


def test_rows_of_two_kinds_in_turns_are_in_both_halves() -> None:
    outcome = np.arange(2_000) % 2 * 10.0 + np.random.default_rng(0).normal(size=2_000)
    made = calibrate(replace(value(), interval=0.5), np.zeros(2_000), outcome)
    assert coverage(made, np.zeros(2_000), outcome).share == pytest.approx(0.5, abs=0.05)
    assert [int(calibrating(rows).sum()) for rows in (0, 1, 2, 17, 18)] == [0, 1, 1, 9, 9]


def test_too_few_rows_for_the_level_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(
        PenstockError, match=r"interval of model 'overflow': expected at least 9 held-out rows.* found 8"
    ):
        calibrate(replace(value(), interval=0.9), np.zeros(16), np.zeros(16))


def test_the_promised_share_of_other_rows_is_held() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=20_000)
    made = calibrate(replace(value(), interval=0.8), np.zeros(20_000), outcome)
    assert coverage(made, np.zeros(20_000), outcome).share == pytest.approx(0.8, abs=0.015)
    fresh = rng.normal(size=20_000)
    assert coverage(made, np.zeros(20_000), fresh).share == pytest.approx(0.8, abs=0.015)
    shares = rng.dirichlet([1, 1, 1], size=20_000)
    classes = (rng.random(20_000)[:, None] > shares.cumsum(axis=1)).sum(axis=1).astype(float)
    sets = calibrate(replace(several(), sets=0.9), shares, classes)
    found = coverage(sets, shares, classes)
    assert found.share == pytest.approx(0.9, abs=0.015)
    assert not found.too_low
    assert coverage(replace_quantile(sets, 0.5), shares, classes).too_low


def replace_quantile(made: Conformal, quantile: float) -> Conformal:
    return Conformal(made.level, quantile, made.rows)


def candidate_of(folder: Path, model: Any) -> tuple[Candidate, HeldOut, ArtifactStore]:
    settings = settings_in(folder)
    training, holdout = (month_of(settings, model, month) for month in ("2026-01", "2026-02"))
    store = ArtifactStore(settings.artifacts)
    held_out = HeldOut(model, holdout, store, settings.artifact_cache)
    made = make_candidate(model, "2026-02", training, held_out, store, code_version="test")
    assert SnapshotStore(settings.snapshots).open(holdout.id).rows == holdout.rows
    return made, held_out, store


@pytest.mark.parametrize("kind", ["interval", "sets"])
def test_artifact_ledger_and_card_of_a_candidate_say_how_sure_it_is(kind: str, tmp_path: Path) -> None:
    model = replace(value(), interval=0.8) if kind == "interval" else replace(several(), sets=0.8)
    made, held_out, store = candidate_of(tmp_path, model)
    artifact = artifacts.load(store.fetch(made.proposal.artifact, tmp_path / "cache"))
    assert artifact.conformal == calibrate(model, artifact.predict(held_out.rows.vectors), held_out.rows.outcome)
    found = held_out.coverage(made.proposal.artifact)
    assert found is not None
    assert (found.share, found.rows) == (made.proposal.metrics["coverage"], made.proposal.metrics["coverage_rows"])
    assert artifact.metadata["metrics"]["coverage"] == found.share
    text = markdown(made.card)
    assert "## How sure it is" in text
    assert (
        f"so that 80% of outcomes are held (split-conformal). Of the {found.rows:,} others {found.share:.2%} are."
        in text
    )


def test_without_a_declaration_nothing_is_said(tmp_path: Path) -> None:
    made, held_out, store = candidate_of(tmp_path, value())
    assert artifacts.load(store.fetch(made.proposal.artifact, tmp_path / "cache")).conformal is None
    assert held_out.coverage(made.proposal.artifact) is None
    assert "coverage" not in made.proposal.metrics
    assert "How sure it is" not in markdown(made.card)


def test_the_gate_refuses_what_holds_less_than_chance_explains_and_says_what_the_release_before_held() -> None:
    comparison = compare(value().gate, np.arange(9.0), np.arange(9.0))
    low, well = Coverage(0.9, 0.5, 400), Coverage(0.9, 0.89, 400)
    refused = decide(comparison, coverage=low, current_coverage=well, current_release=3)
    assert not refused.passed
    assert refused.reasons == ("its 0.9 intervals or sets hold 0.5000 of 400 outcomes, less than chance explains",)
    passed = decide(comparison, coverage=well, current_coverage=low, current_release=3)
    assert passed.passed
    assert "coverage 0.8900 (promised 0.9, release 3 0.5000)" in passed.summary
