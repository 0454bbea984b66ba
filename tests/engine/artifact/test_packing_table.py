"""What `penstock doctor --estimators` and docs/models.md say of estimators is what the tests try."""

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from penstock.artifact.packing.model import public_name
from penstock.artifact.packing.table import markdown, rows
from penstock.cli.commands.doctor import doctor
from tests.engine.artifact.estimator_table import PACKED

DOCS = Path(__file__).parents[3] / "docs/models.md"
OF_THEIR_OWN = {"lightgbm.LGBMRanker", "lightgbm.Booster", "xgboost.XGBRanker", "xgboost.Booster"}
OF_THEIR_OWN |= {"catboost.CatBoostRanker", "catboost.CatBoost"}
OF_THEIR_OWN |= {"MultiOutputRegressor"}
OF_THEIR_OWN |= {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}
"""Not among PACKED, because they are fitted otherwise: test_packing_lightgbm.py and its like, test_answer_forms.py."""


def names(part: Any) -> set[str]:
    """The class names of an unfitted estimator and of everything in it."""
    found = {public_name(part)}
    for attribute in ("estimator", "regressor", "final_estimator", "remainder"):
        found |= names(getattr(part, attribute)) if getattr(part, attribute, None) is not None else set()
    for attribute in ("steps", "estimators", "transformers", "transformer_list"):
        for member in getattr(part, attribute, None) or ():
            found |= names(member[1])
    return found


def test_every_class_of_the_table_is_tried() -> None:
    tried = set().union(*(names(entry.make()) for entry in PACKED.values())) | OF_THEIR_OWN
    listed = {name for row in rows()[:-2] for name in row.classes}
    assert len(listed) > 90
    assert sorted(listed - tried) == []


def test_the_command_prints_it() -> None:
    assert CliRunner().invoke(doctor, ["--estimators"]).output == markdown()


def test_the_docs_show_the_table_as_it_is_printed() -> None:
    assert markdown() in DOCS.read_text()
