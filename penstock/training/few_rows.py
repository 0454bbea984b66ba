"""Whether the estimator of a model can be fitted to its features and packed, tried on the few rows of a dry run."""

import tempfile
from pathlib import Path

import numpy as np

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.declare.model import Model
from penstock.training.fitting import fit
from penstock.training.frame import TrainingRows, fitting_frame, text_categories
from penstock.training.outcomes import class_names

ROWS_OF_A_CLASS = 20
"""Calibration and cross-validation part the rows: of fewer in a class, they would refuse what a training accepts."""


def fit_to_few(model: Model, rows: TrainingRows) -> str:
    """A sentence of what was tried; PenstockError where the estimator refuses, or cannot be packed."""
    if model.fit is not None:
        return "not fitted: the model has a fit function of its own, which may need whole periods"
    if model.contract.output.kind == "classifier":
        classes = class_names(model)
        counts = np.bincount(rows.outcome.astype(np.int64), minlength=len(classes))
        if counts.min() < ROWS_OF_A_CLASS:
            rarest = classes[int(counts.argmin())]
            return f"not fitted: only {counts.min()} of these rows are of class {rarest!r}"
    frame = fitting_frame(rows.vectors)
    fitted = fit(model, model.estimator(), frame, rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few_rows.penstock"
        pack(
            fitted.estimator,
            path,
            features=model.contract.features,
            metadata={},
            trusted_types=model.trusted_types,
            categories=text_categories(frame),
        )
        fallback = load(path).fallback
    how = f"not packed, {fallback.library} would predict in the replicas" if fallback else "packed"
    return f"fitted {type(fitted.estimator).__name__} to these rows: {how}"
