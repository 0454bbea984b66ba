"""What features contribute to the predictions of held-out rows, as numbers of the card and as its second plot."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.training.contributions import contributions_plot, held_out_contributions

NAMES = ("much", "less", "nothing")


ESTIMATORS = (HistGradientBoostingClassifier(max_iter=20), KNeighborsClassifier(9, algorithm="brute"))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("classes", [2, 3])
def test_mean_amounts_order_the_features_and_are_drawn(estimator: object, classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=800) for name in NAMES}
    score = 3 * columns["much"] + columns["less"]
    outcome = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    model = estimator.fit(np.column_stack(list(columns.values())), outcome)  # type: ignore[attr-defined]
    path = tmp_path / "model"
    pack(model, path, features=[Feature(name, "number") for name in NAMES], metadata={}, background=columns)
    found = held_out_contributions(load(path), columns)
    exact = isinstance(estimator, HistGradientBoostingClassifier)
    assert found.contributions.shape == (500 if exact else 30, 3)
    amounts = found.mean_amounts()
    assert amounts["much"] > amounts["less"] > amounts["nothing"]
    drawn = contributions_plot(found, dict.fromkeys(NAMES, (0.1, 0.01)), "roc_auc")
    assert drawn.startswith(b"\x89PNG")
    assert drawn == contributions_plot(found, dict.fromkeys(NAMES, (0.1, 0.01)), "roc_auc")
