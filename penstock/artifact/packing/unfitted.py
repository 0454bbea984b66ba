"""What can be known of an estimator before it is fitted: whether it will be packed, or stored by skops."""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.artifact.packing.answering import demand_answers, last_step
from penstock.artifact.packing.catboost import CATBOOST
from penstock.artifact.packing.columns import transformers
from penstock.artifact.packing.estimators import INSIDE, packers
from penstock.artifact.packing.inverse import in_numpy
from penstock.artifact.packing.lightgbm import LIGHTGBM
from penstock.artifact.packing.model import public_name
from penstock.artifact.packing.texts import TEXTS
from penstock.artifact.packing.votes import VOTERS
from penstock.artifact.packing.xgboost import XGBOOST
from penstock.contract.contract import Output
from penstock.errors import UnsupportedEstimator

_MEMBERS = ("estimator", "regressor", "final_estimator")
_LISTS = ("steps", "estimators", "transformers", "transformer_list")
_FUNCTIONS_OF_TEXTS = ("preprocessor", "tokenizer", "analyzer", "strip_accents")
_NOT_NUMBERS = ("cat_features", "text_features", "embedding_features")
_NEIGHBOURS = ("KNeighborsClassifier", "KNeighborsRegressor", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor")


def demand_storable(estimator: Any, output: Output, trusted: Sequence[str] = (), *, kept: bool = False) -> None:
    """UnsupportedEstimator if the unfitted estimator will neither be packed nor stored, as far as that can be known.

    `kept`: it will be stored as it is too, to be trained further.
    """
    name = type(estimator).__name__
    demand_answers(estimator, output)
    obstacles = list(dict.fromkeys(_obstacles(estimator)))
    inner = [part for part in _parts(estimator) if part is not estimator and public_name(part) in CATBOOST]
    if any(part.get_params().get(name) for part in inner for name in _NOT_NUMBERS):
        obstacles.append("CatBoost is packed on numbers, and keeps a file of its own only where nothing is around it")
    if kept:
        obstacles.append("an estimator that goes on learning is kept by skops")
    if not obstacles:
        return
    refused = _skops_obstacle(estimator, trusted)
    if refused:
        raise UnsupportedEstimator(
            f"estimator {name}",
            expected="one that is packed, or that skops can store",
            found=f"{'; '.join(obstacles)}. skops: {refused}",
            todo="`penstock doctor --estimators` lists what is packed; Model(trusted_types=...) lets skops store more.",
        )


def _obstacles(part: Any) -> Iterator[str]:
    """Why the estimator, or anything in it, is not packed."""
    if part is None or isinstance(part, str):
        return
    name = public_name(part)
    if name in LIGHTGBM or name in XGBOOST:
        yield from _booster_obstacles(part, part.get_params())
    elif not name or name not in {"Pipeline", *INSIDE, *packers(), *transformers()}:
        yield f"{type(part).__name__} is not packed"
    if name == "FunctionTransformer":
        functions = (part.func, part.kw_args)
        known = functions == (None, None) or (in_numpy(functions[0]) and not functions[1])
        if not known:
            yield f"FunctionTransformer is packed with a function of numpy, not with {functions[0]!r}"
    functions_of_texts = [one for one in _FUNCTIONS_OF_TEXTS if callable(getattr(part, one, None))]
    if name in TEXTS and functions_of_texts:
        yield f"{name} is packed without a function of one's own ({', '.join(functions_of_texts)})"
    if name == "TransformedTargetRegressor" and not (part.inverse_func is None or in_numpy(part.inverse_func)):
        yield f"TransformedTargetRegressor is packed with a function of numpy, not with {part.inverse_func!r}"
    if getattr(part, "voting", "soft") == "hard":
        voters = [public_name(last_step(member)) for _, member in part.estimators if not isinstance(member, str)]
        if others := sorted({voter or "others" for voter in voters} - {*VOTERS}):
            yield f"a hard vote is packed of linear models, trees and boosting, not of {', '.join(others)}"
    for attribute in _MEMBERS:
        yield from _obstacles(getattr(part, attribute, None))
    for attribute in _LISTS:
        for member in getattr(part, attribute, None) or ():
            yield from _obstacles(member[1])


def _booster_obstacles(part: Any, told: dict[str, Any]) -> Iterator[str]:
    name = type(part).__name__
    if told.get("linear_tree"):
        yield f"{name} is packed with linear_tree=False"
    if told.get("pred_early_stop"):
        yield f"{name} is packed with pred_early_stop=False"
    if told.get("booster") == "gblinear":
        yield f"{name} is packed with booster='gbtree' or 'dart', not with 'gblinear'"
    if told.get("multi_strategy") == "multi_output_tree":
        yield f"{name} is packed with multi_strategy='one_output_per_tree'"
    if callable(told.get("objective")) and "Classifier" in name:
        yield f"{name} has no probabilities with an objective of one's own"


def _skops_obstacle(estimator: Any, trusted: Sequence[str]) -> str:
    """Why skops would not store the estimator; empty if it would, as far as the unfitted one tells."""
    from penstock.artifact.skops_artifact import to_bytes

    for part in _parts(estimator):
        if public_name(part) in _NEIGHBOURS and part.algorithm != "brute":
            return f"it cannot check the tree of {type(part).__name__}; algorithm='brute' has none"
    try:
        to_bytes(estimator, trusted)
    except UnsupportedEstimator as error:
        return f"expected {error.expected}, found {error.found}"
    return ""


def _parts(part: Any) -> Iterator[Any]:
    yield part
    for attribute in _MEMBERS:
        if getattr(part, attribute, None) is not None:
            yield from _parts(getattr(part, attribute))
    for attribute in _LISTS:
        for member in getattr(part, attribute, None) or ():
            yield from _parts(member[1])
