"""A fit function of the model's own splits the training window by time; what it chose is in the card."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from catboost import CatBoostClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GridSearchCV

from penstock.declare.fitting import FitResult, FitRows
from penstock.errors import PenstockError
from penstock.releases.card_text import html, markdown
from tests.engine.training.tanks import tank_model, trained


def boosting() -> Any:
    return lightgbm.LGBMClassifier(n_estimators=300, learning_rate=0.3, verbose=-1)


@pytest.mark.slow
def test_rows_come_in_the_order_of_time_with_their_periods_and_none_is_held_out(tmp_path: Path) -> None:
    seen: list[FitRows] = []

    def fit(estimator: Any, rows: FitRows) -> Any:
        seen.append(rows)
        return estimator.fit(rows.frame, rows.outcome)

    trained(tmp_path, boosting, fit)
    [rows] = seen
    assert len(rows.outcome) == len(rows.frame) == 3_000
    assert np.all(np.diff(rows.asked_at) >= np.timedelta64(0))
    assert rows.asked_at[-1] < np.datetime64("2026-03-01")
    assert rows.periods == ["2026-01", "2026-02"]
    earlier, later = rows.split()
    assert (len(earlier), len(later)) == (1_500, 1_500)
    assert rows.asked_at[earlier].max() < rows.asked_at[later].min()
    [(train, validate)] = rows.folds(1)
    assert np.array_equal(train, earlier)
    assert np.array_equal(validate, later)
    with pytest.raises(PenstockError, match=r"expected more than 2 periods.*found 2: 2026-01, 2026-02"):
        rows.split(last=2)
    signal = 2 * rows.frame["inflow"] + rows.frame["level"].fillna(0)
    assert np.corrcoef(signal, rows.outcome)[0, 1] > 0.5, "features and outcomes stay together"


def test_early_stopping_by_the_last_period_is_packed_and_told(tmp_path: Path) -> None:
    def fit(estimator: Any, rows: FitRows) -> Any:
        earlier, later = rows.split()
        return estimator.fit(
            rows.frame.iloc[earlier],
            rows.outcome[earlier],
            eval_set=[(rows.frame.iloc[later], rows.outcome[later])],
            callbacks=[lightgbm.early_stopping(10, verbose=False)],
        )

    made, artifact = trained(tmp_path, boosting, fit)
    chosen = dict(made.card.chosen)
    assert 0 < int(chosen["best_iteration"]) < 300
    assert float(chosen["best binary_logloss of valid_0"]) > 0
    assert not any("{" in said for said in chosen.values())
    assert artifact.estimator == "LGBMClassifier"
    [curve] = made.card.curves.values()
    assert len(curve) >= int(chosen["best_iteration"])
    assert made.card.curves_plot.startswith(b"\x89PNG")
    text = markdown(made.card)
    assert "## Fit" in text
    assert f"| chosen | best_iteration | {chosen['best_iteration']} |" in text
    assert "curves of the fit, by iteration" in html(made.card)


def test_a_search_over_periods_says_what_it_has_chosen(tmp_path: Path) -> None:
    def fit(estimator: Any, rows: FitRows) -> FitResult:
        search = GridSearchCV(estimator, {"learning_rate": [0.001, 0.1]}, cv=rows.folds(1))
        return FitResult(search.fit(rows.frame, rows.outcome), {"folds": 1}, {"tries": [0.5, 0.7]})

    made, artifact = trained(
        tmp_path, lambda: HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype"), fit
    )
    chosen = dict(made.card.chosen)
    assert chosen["learning_rate"] == "0.1"
    assert chosen["folds"] == "1"
    assert made.card.curves["tries"] == (0.5, 0.7)
    assert artifact.estimator == "HistGradientBoostingClassifier"


def test_what_a_fit_function_does_wrong_is_said_by_its_name(tmp_path: Path) -> None:
    def fails(estimator: Any, rows: FitRows) -> Any:
        raise KeyError("colour")

    with pytest.raises(PenstockError, match=r"fit of model 'overflow': expected a function.*found KeyError: 'colour'"):
        trained(tmp_path, boosting, fails)
    with pytest.raises(PenstockError, match=r"fit of model 'overflow': expected a function.*found NoneType"):
        trained(tmp_path, boosting, lambda estimator, rows: None)
    with pytest.raises(PenstockError, match="fit of model 'overflow': expected no `continues` beside it"):
        replace(tank_model(boosting, continues="warm_start"), fit=fails)


def test_without_a_fit_function_the_card_says_nothing_of_one(tmp_path: Path) -> None:
    made, _ = trained(
        tmp_path, lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"), None
    )
    assert (made.card.chosen, made.card.curves, made.card.curves_plot) == ((), {}, b"")
    assert "## Fit" not in markdown(made.card)


def test_a_column_that_is_called_otherwise_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    def categorical() -> Any:
        return CatBoostClassifier(iterations=2, cat_features=["place"], verbose=False, allow_writing_files=False)

    with pytest.raises(PenstockError, match=r"found 'place' is not in list.* They are inflow, level, .*"):
        trained(tmp_path, categorical, None)
