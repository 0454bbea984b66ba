"""Packing: a fitted scikit-learn estimator or pipeline becomes a model file, without importing scikit-learn."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.artifact import file as artifact_file
from penstock.artifact.checks import EXPLAINING
from penstock.artifact.file import Explaining, Header, Part
from penstock.artifact.packing.background import with_background
from penstock.artifact.packing.boosting.catboost import CATBOOST
from penstock.artifact.packing.estimators import answering, final_of, pack_estimator
from penstock.artifact.packing.families import FAMILIES
from penstock.artifact.packing.model import Model, classifies, fitted_count, fitted_names, model_classes, public_name
from penstock.artifact.packing.program import Block, ProgramBuilder
from penstock.artifact.packing.thresholds import threshold_of
from penstock.contract.contract import Feature
from penstock.errors import ContractError, UnsupportedEstimator

_BOOSTERS = ("lightgbm.Booster", "xgboost.Booster")
"""What skops stores by no means. CatBoost has a file of its own."""


def pack(
    estimator: Any,
    path: str | Path,
    *,
    features: Sequence[Feature],
    metadata: Mapping[str, Any],
    fallback: bool = True,
    trusted_types: Sequence[str] = (),
    background: Mapping[str, np.ndarray[Any, Any]] | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the fitted estimator to `path`, whole or not at all; the same model always gives the same bytes.

    `features` are the columns of the training frame, in order; `metadata` is anything that JSON can hold.
    What cannot be packed natively becomes a skops file behind the same API, unless `fallback` is off:
    then UnsupportedEstimator says which part is not supported. `trusted_types` are further types for the skops file.

    `categories` are those of the text columns in the frame that was fitted: XGBoost loses the end of what is not ASCII.

    With `background`, training rows as feature columns, the file also holds what explanations of predictions need.
    """
    path = Path(path)
    features = tuple(features)
    _check_features(estimator, features)
    try:
        with np.errstate(all="ignore"):  # whatever a project has set: the casts mean what they do
            header, arrays = native(estimator, features, categories or {})
    except UnsupportedEstimator as unpacked:
        if not fallback:
            raise
        if (name := public_name(estimator)) in _BOOSTERS:
            todo = "Train it so: a native booster is packed, or not taken."
            raise UnsupportedEstimator(name, expected=unpacked.expected, found=unpacked.found, todo=todo) from None
        try:
            header, arrays = stored(estimator, features, trusted_types)
        except UnsupportedEstimator as refused:
            raise UnsupportedEstimator(
                unpacked.thing,
                expected=unpacked.expected,
                found=unpacked.found,
                todo=f"Nor can it be stored: {refused}",
            ) from refused
    header = msgspec.structs.replace(header, metadata=dict(metadata))
    if background is not None:
        header, arrays = with_background(header, arrays, background)
    else:
        arrays = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in EXPLAINING}
        header = msgspec.structs.replace(header, explaining=None)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        artifact_file.write(part, header, arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def stored(
    estimator: Any, features: tuple[Feature, ...], trusted_types: Sequence[str] = ()
) -> tuple[Header, dict[str, np.ndarray[Any, Any]]]:
    """The header and array of CatBoost's own file, or else of skops; UnsupportedEstimator for what neither takes."""
    if public_name(estimator) in CATBOOST:
        from penstock.artifact import catboost_artifact

        return catboost_artifact.dump(estimator, features)
    from penstock.artifact import skops_artifact

    header, arrays = skops_artifact.dump(answering(estimator), features, trusted_types)
    return msgspec.structs.replace(header, threshold=threshold_of(estimator)), arrays


def native(
    estimator: Any, features: tuple[Feature, ...], categories: Mapping[str, Sequence[str]]
) -> tuple[Header, dict[str, np.ndarray[Any, Any]]]:
    """The header and arrays of an estimator; UnsupportedEstimator names what cannot be packed."""
    builder = ProgramBuilder(FAMILIES, features, categories)
    final = final_of(estimator)
    model = pack_estimator(builder, estimator, Block(builder.features(), sparse=False))
    native_classes = public_name(final) == "catboost.CatBoost"  # it says probabilities without predict_proba
    scores = classifies(final) and not hasattr(final, "predict_proba") and not native_classes
    classes = model_classes(final, model) if model.kind == "classifier" else ()
    header = Header(
        engine=model.engine,
        kind=model.kind,
        estimator=type(final).__name__,
        features=features,
        classes=classes,
        outputs=model.outputs,
        link=model.link.name,
        divisor=model.divisor,
        slots=builder.slots,
        metadata={},
        mean_of=model.mean_of,
        factor=model.factor,
        single=model.single,
        threshold=threshold_of(estimator),
        parts=tuple(_part(part) for part in builder.parts),
        vectorizers=tuple(builder.vectorizers),
        explaining=Explaining({}, model.explains),
        scores=scores,
    )
    return header, builder.arrays() | model.arrays


def _part(model: Model) -> Part:
    return Part(
        engine=model.engine,
        outputs=model.outputs,
        link=model.link.name,
        divisor=model.divisor,
        mean_of=model.mean_of,
        factor=model.factor,
        single=model.single,
    )


def _check_features(estimator: Any, features: tuple[Feature, ...]) -> None:
    names = [feature.name for feature in features]
    if not names or len(set(names)) != len(names):
        raise ContractError("features", expected="different names, at least one", found=", ".join(names))
    fitted = fitted_names(estimator)
    # LightGBM writes an underscore where a name has a space.
    if fitted is not None and fitted not in (names, [name.replace(" ", "_") for name in names]):
        raise ContractError(
            "features", expected=f"the columns that were fitted ({', '.join(fitted)})", found=", ".join(names)
        )
    count = fitted_count(estimator)
    if count not in (None, len(names)):
        raise ContractError("features", expected=f"{count}, as were fitted", found=str(len(names)))
