"""Declares the tank's model, as `penstock.declare.discovery` does a project's: for workers that import it by name."""

from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from penstock.declare.project import Declarations
from tests.engine.training.tanks import tank_model


def boosting() -> Any:
    encoder = make_column_transformer((OrdinalEncoder(), ["site"]), remainder="passthrough")
    return make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=20, random_state=0))


def declared() -> Declarations:
    return Declarations(models={"overflow": tank_model(boosting)})
