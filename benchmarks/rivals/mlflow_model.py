"""Run by the Python of a foreign server: fits the shipped model's twin as a scikit-learn pipeline, saves it for it."""

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def pipeline(home: Path) -> Any:
    """The estimator behind an encoder of its texts, since a posted frame has no categories."""
    with np.load(home / "training.npz") as stored:
        columns = {name: stored[name] for name in stored.files}
    outcome = columns.pop("__outcome__")
    frame = pd.DataFrame({name: v.astype(object) if v.dtype.kind == "U" else v for name, v in columns.items()})
    texts = [name for name, values in columns.items() if values.dtype.kind == "U"]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    parameters = json.loads((home / "estimator.json").read_text()) | {"categorical_features": list(range(len(texts)))}
    return make_pipeline(
        ColumnTransformer([("texts", encoder, texts)], remainder="passthrough"),
        HistGradientBoostingClassifier(**parameters),
    ).fit(frame, outcome)


def main() -> None:
    """Save it in the folder, as the server named on the command line loads it."""
    server, home, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if (folder / "MLmodel").exists() or (folder / "model.joblib").exists():
        return
    made = pipeline(home)
    if server == "mlflow":
        import mlflow

        mlflow.sklearn.save_model(made, folder, pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle")
    else:
        joblib.dump(made, folder / "model.joblib")


if __name__ == "__main__":
    main()
