"""Packing: a fitted scikit-learn estimator or pipeline becomes a model file, without importing scikit-learn."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.artifact import file as artifact_file
from penstock.artifact.file import Header
from penstock.artifact.packing.columns import transform
from penstock.artifact.packing.hist import pack_hist
from penstock.artifact.packing.lightgbm import LIGHTGBM, pack_lightgbm
from penstock.artifact.packing.linear import LINEAR, pack_linear
from penstock.artifact.packing.model import Model, fitted_names, model_classes, public_name, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder
from penstock.artifact.packing.trees import BOOSTED, FORESTS, TREES, pack_boosted, pack_forest
from penstock.artifact.packing.xgboost import XGBOOST, pack_xgboost
from penstock.contract.contract import Feature
from penstock.errors import ContractError, UnsupportedEstimator

_HIST = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def pack(
    estimator: Any,
    path: str | Path,
    *,
    features: Sequence[Feature],
    metadata: Mapping[str, Any],
    fallback: bool = True,
) -> None:
    """Write the fitted estimator to `path`, whole or not at all; the same model always gives the same bytes.

    `features` are the columns of the training frame, in order; `metadata` is anything that JSON can hold.
    What cannot be packed natively becomes a skops file behind the same API, unless `fallback` is off:
    then UnsupportedEstimator says which part is not supported.
    """
    path = Path(path)
    features = tuple(features)
    _check_features(estimator, features)
    try:
        header, arrays = native(estimator, features)
    except UnsupportedEstimator:
        if not fallback:
            raise
        from penstock.artifact.skops_artifact import dump

        header, arrays = dump(estimator, features)
    header = msgspec.structs.replace(header, metadata=dict(metadata))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        artifact_file.write(part, header, arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def native(estimator: Any, features: tuple[Feature, ...]) -> tuple[Header, dict[str, np.ndarray[Any, Any]]]:
    """The header and arrays of an estimator; UnsupportedEstimator names what cannot be packed."""
    builder = ProgramBuilder(features)
    block = Block(builder.features(), sparse=False)
    steps, final = _steps(estimator)
    for step in steps:
        block = transform(builder, step, block)
    model = _model(builder, final, block)
    classes = model_classes(final, model) if model.kind == "classifier" else ()
    header = Header(
        engine=model.engine,
        kind=model.kind,
        estimator=type(final).__name__,
        features=features,
        classes=classes,
        outputs=len(model.arrays["base"]),
        link=model.link.name,
        divisor=model.divisor,
        slots=builder.slots,
        metadata={},
        mean_of=model.mean_of,
        factor=model.factor,
        single=model.single,
    )
    return header, builder.arrays() | model.arrays


def _model(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    name = public_name(estimator)
    if name in LIGHTGBM:
        return pack_lightgbm(builder, estimator, block)
    if name in XGBOOST:
        return pack_xgboost(builder, estimator, block)
    if name in _HIST:
        return pack_hist(builder, estimator, block)
    if name in TREES or name in FORESTS:
        return pack_forest(builder, estimator, block)
    if name in BOOSTED:
        return pack_boosted(builder, estimator, block)
    if name in LINEAR:
        return pack_linear(builder, estimator, block)
    raise UnsupportedEstimator(
        f"estimator {type(estimator).__name__}",
        expected="a tree, forest, gradient boosting, linear model or pipeline of scikit-learn",
        todo="Let it be packed with skops (pip install 'penstock[skops]').",
    )


def _steps(estimator: Any) -> tuple[list[Any], Any]:
    if sklearn_name(estimator) != "Pipeline":
        return [], estimator
    *before, (_, last) = estimator.steps
    inner, final = _steps(last)
    return [step for _, step in before] + inner, final


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
    count = getattr(estimator, "n_features_in_", len(names))
    if count != len(names):
        raise ContractError("features", expected=f"{count}, as were fitted", found=str(len(names)))
