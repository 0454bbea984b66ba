"""The BentoML service of the benchmark, imported by `bentoml serve` alone."""

import os
from pathlib import Path

import bentoml
import joblib
import numpy as np
import pandas as pd


@bentoml.service(workers=1)
class FlightDelay:
    """One model, one route."""

    def __init__(self) -> None:
        self._pipeline = joblib.load(Path(os.environ["MODEL_FOLDER"]) / "model.joblib")

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> np.ndarray:  # as BentoML reads it
        """Class probabilities, shape (n, 2)."""
        return np.asarray(self._pipeline.predict_proba(rows))
