"""Which estimator is packed by which family, whatever it is inside of."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from penstock.artifact.packing.columns import transform
from penstock.artifact.packing.model import Model, public_name
from penstock.artifact.packing.program import Block, ProgramBuilder
from penstock.artifact.program import Link
from penstock.errors import UnsupportedEstimator

INSIDE = {
    "GridSearchCV": "best_estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "FixedThresholdClassifier": "estimator_",
    "TunedThresholdClassifierCV": "estimator_",
    "RANSACRegressor": "estimator_",
    "FrozenEstimator": "estimator",
}
"""Estimators that answer as the one in this attribute does."""


def pack_estimator(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The model of a fitted estimator, the steps before it as instructions; UnsupportedEstimator for one not known."""
    estimator, block = _stepped(builder, estimator, block)
    packer = builder.families.packers.get(public_name(estimator))
    if packer is None:
        raise UnsupportedEstimator(
            f"estimator {type(estimator).__name__}",
            expected="one that is packed (penstock doctor --estimators lists them)",
            todo="Let it be packed with skops (pip install 'penstock[skops]').",
        )
    model = packer(builder, estimator, block)
    builder.demand_no_noise(estimator, model)
    return model


def inside(estimator: Any) -> Any:
    """The estimator that answers for one of INSIDE."""
    attribute = INSIDE[public_name(estimator)]
    if not hasattr(estimator, attribute):
        raise UnsupportedEstimator(
            f"estimator {type(estimator).__name__}", expected=f"{attribute}, by refit=True", found="none"
        )
    return getattr(estimator, attribute)


def final_of(estimator: Any) -> Any:
    """The estimator that answers: the last of a pipeline, the best of a search."""
    name = public_name(estimator)
    if name == "Pipeline":
        return final_of(estimator.steps[-1][1])
    return final_of(inside(estimator)) if name in INSIDE else estimator


def answering(estimator: Any, of: Callable[[Any], Any] = inside) -> Any:
    """The estimator, or its pipeline, without the searches and thresholds around what answers."""
    name = public_name(estimator)
    if name == "Pipeline":
        step, last = estimator.steps[-1]
        made = copy(estimator)
        made.steps = [*estimator.steps[:-1], (step, answering(last, of))]
        return made
    return answering(of(estimator), of) if name in INSIDE else estimator


def answers(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """The slots of a member's predict_proba or predict, and whether it computes in float32. The block is left as is."""
    model = pack_estimator(builder, estimator, builder.fork(block))
    if model.engine == "slots" and model.link.name == "IDENTITY":
        return model.arrays["inputs"].tolist(), model.single
    return builder.ask(model), model.single


def scores(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """The slots of a member's decision_function, and whether it computes in float32. The block is not changed."""
    estimator, block = _stepped(builder, estimator, builder.fork(block))
    decision = builder.families.decisions.get(public_name(estimator))
    if decision is not None:
        return decision(builder, estimator, block)
    model = pack_estimator(builder, estimator, block)
    return builder.ask(model, raw=True), model.single


def _stepped(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[Any, Block]:
    """What answers, without pipelines and searches around it, and the block that it reads behind their steps."""
    name = public_name(estimator)
    if name == "Pipeline":
        for _, step in estimator.steps[:-1]:
            block = transform(builder, step, block)
        return _stepped(builder, estimator.steps[-1][1], block)
    return _stepped(builder, inside(estimator), block) if name in INSIDE else (estimator, block)


def of_slots(slots: list[int], kind: Any, *, single: bool = False, link: Any = None) -> Model:
    """The model whose scores are slots."""
    arrays = {"inputs": np.array(slots, dtype=np.int64), "base": np.zeros(len(slots))}
    return Model("slots", kind, Link.IDENTITY if link is None else link, arrays, single=single)
