"""CatBoost's models that cannot be packed: its own file, which holds no code, inside a model file."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from penstock.artifact.file import Header
from penstock.artifact.native import Engine
from penstock.artifact.packing.boosting.catboost import demand_values, outputs_of, prediction_of
from penstock.artifact.packing.model import classifies, model_classes
from penstock.artifact.skops_artifact import SkopsArtifact
from penstock.contract.contract import Feature
from penstock.errors import ArtifactError, UnsupportedEstimator

Array = np.ndarray[Any, Any]


def dump(estimator: Any, features: tuple[Feature, ...]) -> tuple[Header, dict[str, Array]]:
    """The header and the one array of CatBoost's own file; UnsupportedEstimator for what a model cannot answer."""
    name = type(estimator).__name__
    kind, link = prediction_of(estimator)
    outputs = outputs_of(estimator)
    demand_values(estimator, kind, outputs)
    if kind == "classifier" and not classifies(estimator):
        raise UnsupportedEstimator(f"estimator {name}", expected="CatBoostClassifier", found=name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        estimator.save_model(str(path))
        data = path.read_bytes()
    classes = model_classes(estimator) if kind == "classifier" else ()
    header = Header(
        engine="catboost",
        kind=kind,
        estimator=name,
        features=features,
        classes=classes,
        outputs=len(classes) if classes else outputs,
        link=link.name,
        divisor=1.0,
        slots=1,
        metadata={},
    )
    return header, {"catboost": np.frombuffer(data, dtype=np.uint8)}


class CatBoostArtifact(SkopsArtifact):
    """A model that CatBoost itself loads and predicts."""

    _library = "CatBoost"

    def _start(self, header: Header, arrays: Mapping[str, Array], engine: Engine) -> None:  # noqa: ARG002
        thing = f"artifact {self.path}"
        try:
            import catboost
        except ImportError:
            raise ArtifactError(
                thing, expected="catboost", found="no such package", todo="Install penstock[catboost]."
            ) from None
        if list(arrays) != ["catboost"] or arrays["catboost"].ndim != 1:
            raise ArtifactError(thing, expected="one file of CatBoost inside", found=", ".join(arrays))
        self.errors = (ValueError, TypeError, catboost.CatBoostError)
        self._model = catboost.CatBoost()
        self._link = header.link
        try:
            self._model.load_model(blob=arrays["catboost"].tobytes())
        except catboost.CatBoostError as error:
            raise ArtifactError(thing, expected="a file of CatBoost inside", found=str(error)) from None
        self._texts: list[int] = [at for at in self._model.get_text_feature_indices() if at < len(self.features)]

    def _call(self, table: Any) -> Any:
        kind = "Exponent" if self._link == "LOG" else "RawFormulaVal" if self.kind == "regressor" else "Probability"
        return self._model.predict(table, prediction_type=kind)

    def _table(self, columns: dict[str, Array]) -> Any:
        import pandas as pd

        for at in self._texts:  # it takes no text that is not there: it was fitted to an empty one
            name = self.features[at].name
            columns[name] = np.array([value if isinstance(value, str) else "" for value in columns[name]], dtype=object)
        return pd.DataFrame(columns)
