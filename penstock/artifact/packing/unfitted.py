"""What can be known of an estimator before it is fitted: whether it will be packed, or stored by skops."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from penstock.artifact.packing.answering import demand_answers, final_step, has_probabilities, last_step
from penstock.artifact.packing.before import obstacles_before
from penstock.artifact.packing.boosting import catboost, lightgbm, xgboost
from penstock.artifact.packing.boosting.catboost import CATBOOST
from penstock.artifact.packing.boosting.lightgbm import LIGHTGBM
from penstock.artifact.packing.boosting.xgboost import XGBOOST
from penstock.artifact.packing.candidates import Candidate, candidates
from penstock.artifact.packing.ensembles.votes import VOTERS
from penstock.artifact.packing.estimators import INSIDE, answering
from penstock.artifact.packing.families import PACKERS, TRANSFORMERS
from penstock.artifact.packing.inverse import INVERTED, in_numpy
from penstock.artifact.packing.model import public_name
from penstock.artifact.packing.texts import TEXTS
from penstock.artifact.packing.trees import BOOSTED
from penstock.artifact.terms import MOST_HASHED
from penstock.contract.contract import Output
from penstock.errors import UnsupportedEstimator

_MEMBERS = ("estimator", "regressor", "final_estimator", "remainder")
_LISTS = ("steps", "estimators", "transformers", "transformer_list")
_FUNCTIONS_OF_TEXTS = ("preprocessor", "tokenizer", "analyzer", "strip_accents")
_UNPACKED = ("text_features", "embedding_features")
_NEIGHBOURS = {
    **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor", "KNeighborsTransformer"), "algorithm"),
    **dict.fromkeys(("RadiusNeighborsClassifier", "RadiusNeighborsRegressor"), "algorithm"),
    **dict.fromkeys(("RadiusNeighborsTransformer",), "algorithm"),
    **dict.fromkeys(("Isomap", "LocallyLinearEmbedding"), "neighbors_algorithm"),
}
"""Estimators with a tree of neighbours, unless this option is "brute"."""
_AT_RANDOM = ("stratified", "uniform")
"""Strategies of DummyClassifier by which no two answers are the same."""
_UNCHECKED = {
    "TunedThresholdClassifierCV": "it cannot check its scorer; FixedThresholdClassifier has none",
    "BisectingKMeans": "it cannot check the tree of BisectingKMeans; KMeans has none",
    "SplineTransformer": "it cannot check the curves of SplineTransformer",
}
_ALONE_OTHERWISE = {
    **dict.fromkeys(("NMF", "MiniBatchNMF"), "goes on until all rows that come together are near enough"),
    **dict.fromkeys(("SparsePCA", "MiniBatchSparsePCA"), "does not take one row alone"),
}
"""Steps by which one row is answered otherwise than among others, and why."""


def demand_storable(estimator: Any, output: Output, trusted: Sequence[str] = (), *, kept: bool = False) -> None:
    """UnsupportedEstimator if the unfitted estimator will neither be packed nor stored, as far as that can be known.

    `kept`: it will be stored as it is too, to be trained further.
    """
    for name, one in (Candidate(type(estimator).__name__, estimator), *candidates(estimator)):
        demand_answers(one, output, name)
        several = bool(output.values) and public_name(final_step(one)) == "TransformedTargetRegressor"
        of_target = ["TransformedTargetRegressor is packed of one output, in MultiOutputRegressor of each"] * several
        _demand_packed_or_stored(one, name, trusted, of_target, kept=kept)


def _demand_packed_or_stored(
    estimator: Any, name: str, trusted: Sequence[str], known: Sequence[str], *, kept: bool
) -> None:
    obstacles = list(dict.fromkeys([*known, *_obstacles(estimator), *obstacles_before(estimator)]))
    inner = [part for part in _parts(estimator) if part is not estimator and public_name(part) in CATBOOST]
    if any(part.get_params().get(option) for part in inner for option in _UNPACKED):
        obstacles.append(
            "CatBoost is packed on numbers and categories, and keeps a file of its own only where nothing is around it"
        )
    if any(part.get_params().get("cat_features") and catboost.of_several(part.get_params()) for part in inner):
        obstacles.append(
            "CatBoost keeps a file of its own for categories of several targets, where nothing is around it"
        )
    last = last_step(estimator)
    copied = [part for part in _parts(last) if part is not last and public_name(part) in CATBOOST]
    if any(part.get_params().get("cat_features") for part in copied):
        obstacles.append(f"scikit-learn cannot clone CatBoost with cat_features, as {type(last).__name__} does")
    if kept:
        obstacles.append("an estimator that goes on learning is kept by skops")
    if not obstacles:
        return
    refused = _skops_obstacle(estimator, trusted, kept=kept)
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
    if name in LIGHTGBM:
        yield from lightgbm.obstacles(type(part).__name__, part.get_params())
    elif name in XGBOOST:
        yield from xgboost.obstacles(type(part).__name__, part.get_params())
    elif name in CATBOOST:
        yield from catboost.obstacles(type(part).__name__, part.get_params())
    elif not name or name not in {"Pipeline", *INSIDE, *PACKERS, *TRANSFORMERS}:
        yield f"{type(part).__name__} is not packed"
    yield from _of_functions(name, part)
    if name in TEXTS:
        yield from _of_texts(name, part)
    if name == "DummyClassifier" and part.strategy in _AT_RANDOM:
        yield f"DummyClassifier is packed with a strategy that answers all rows the same, not with {part.strategy!r}"
    yield from _options(name, part)
    for attribute in _MEMBERS:
        yield from _obstacles(getattr(part, attribute, None))
    for attribute in _LISTS:
        for member in getattr(part, attribute, None) or ():
            yield from _obstacles(member[1])


def _of_functions(name: str, part: Any) -> Iterator[str]:
    """Functions with which a step is not packed."""
    if name == "FunctionTransformer":
        functions = (part.func, part.kw_args)
        known = functions == (None, None) or (in_numpy(functions[0]) and not functions[1])
        if not known:
            yield f"FunctionTransformer is packed with a function of numpy, not with {functions[0]!r}"
    if name == "TransformedTargetRegressor" and not (part.inverse_func is None or in_numpy(part.inverse_func)):
        yield f"TransformedTargetRegressor is packed with a function of numpy, not with {part.inverse_func!r}"


def _of_texts(name: str, vectorizer: Any) -> Iterator[str]:
    """Options with which a vectorizer is not packed."""
    if own := [one for one in _FUNCTIONS_OF_TEXTS if callable(getattr(vectorizer, one, None))]:
        yield f"{name} is packed without a function of one's own ({', '.join(own)})"
    if getattr(vectorizer, "input", "content") != "content":
        yield f"{name} is packed with input='content', not with {vectorizer.input!r}"
    if name == "HashingVectorizer" and vectorizer.n_features > MOST_HASHED:
        yield f"HashingVectorizer is packed with n_features of at most {MOST_HASHED}, not with {vectorizer.n_features}"


def _options(name: str, part: Any) -> Iterator[str]:
    """Options with which a known estimator is not packed."""
    if name == "SplineTransformer" and (part.extrapolation == "error" or part.degree < 1):
        yield "SplineTransformer is packed with a degree of 1 or more, and an extrapolation that takes every number"
    if name in ("OneHotEncoder", "OrdinalEncoder", "KBinsDiscretizer", *TEXTS):
        dtype = np.dtype(getattr(part, "dtype", np.float64))
        if dtype != np.float64 and dtype.kind not in ("iu" if name in TEXTS else "iub"):
            yield f"{name} is packed with dtype float64 or an integer one, not with {part.dtype!r}"
    if getattr(part, "refit", True) is False and name in INSIDE:
        yield f"{name} has an estimator to answer with only if refit is True or names a metric"
    if name in BOOSTED and not (part.init in (None, "zero") or public_name(part.init).startswith("Dummy")):
        yield f"{name} is packed with a constant start (init=None or 'zero'), not with {part.init!r}"
    if name == "StackingClassifier" and (part.stack_method == "predict" or any(map(_only_labels, part.estimators))):
        yield "StackingClassifier is packed with members that answer probabilities or scores"
    if getattr(part, "voting", "soft") == "hard":
        voters = [public_name(final_step(member)) for _, member in part.estimators if not isinstance(member, str)]
        if others := sorted({voter or "others" for voter in voters} - {*VOTERS}):
            yield f"a hard vote is packed of linear models, trees and boosting, not of {', '.join(others)}"
    in_single = any(public_name(one) in XGBOOST for one in _parts(part))
    if name == "TransformedTargetRegressor":
        yield from _of_target(part.transformer, in_single=in_single)
    if name == "AdaBoostRegressor" and in_single:
        yield "AdaBoostRegressor is packed around what answers in float64, unlike XGBoost"
    if name == "AdaBoostClassifier" and part.estimator is not None and not has_probabilities(part.estimator):
        yield "AdaBoostClassifier is packed around what has predict_proba"
    if name == "CalibratedClassifierCV" and part.method == "temperature" and in_single:
        yield "method='temperature' of CalibratedClassifierCV is packed around scores in float64, unlike XGBoost's"


def _of_target(transformer: Any, *, in_single: bool) -> Iterator[str]:
    """Why the way back from a transformed target is not packed. `in_single`: what answers is XGBoost."""
    name = public_name(transformer)
    if name == "Pipeline":
        for _, step in transformer.steps:
            yield from _of_target(step, in_single=in_single)
    elif transformer not in (None, "passthrough") and name not in INVERTED:
        yield f"a target is packed that was transformed by {', '.join(INVERTED)}, not by {type(transformer).__name__}"
    if name == "FunctionTransformer":
        way_back = transformer.inverse_func
        if not (way_back is None or in_numpy(way_back)) or transformer.inv_kw_args:
            yield f"FunctionTransformer of a target is packed with a function of numpy, not with {way_back!r}"
    if name in ("PowerTransformer", "QuantileTransformer") and in_single:
        yield f"{name} of a target is packed around what answers in float64, unlike XGBoost"
    if name == "QuantileTransformer" and transformer.output_distribution != "uniform":
        yield "QuantileTransformer of a target is packed with output_distribution='uniform'"


def _only_labels(member: tuple[str, Any]) -> bool:
    """Whether a member of a stack will answer nothing but its label."""
    return getattr(final_step(member[1]), "voting", "soft") == "hard"


def _skops_obstacle(estimator: Any, trusted: Sequence[str], *, kept: bool) -> str:
    """Why skops would not store the estimator; empty if it would, as far as the unfitted one tells."""
    from penstock.artifact.skops_artifact import to_bytes

    if any(getattr(part, "refit", True) is False and public_name(part) in INSIDE for part in _parts(estimator)):
        return "there is no estimator to store"
    if not kept and all(part.estimator is not None for part in _parts(estimator) if public_name(part) in INSIDE):
        estimator = answering(estimator, lambda around: around.estimator)
    if unstored := next(filter(None, map(_unstored, _parts(estimator))), ""):
        return unstored
    try:
        to_bytes(estimator, trusted)
    except UnsupportedEstimator as error:
        return f"expected {error.expected}, found {error.found}"
    return ""


def _unstored(part: Any) -> str:
    """Why skops would not store what a part becomes by its fit; empty if nothing is known against it."""
    name = public_name(part)
    if name in _NEIGHBOURS and getattr(part, _NEIGHBOURS[name]) != "brute":
        return f"it cannot check the tree of {name}; {_NEIGHBOURS[name]}='brute' has none"
    if name in ("LabelPropagation", "LabelSpreading") and part.kernel == "knn":
        return f"it cannot check the tree of {name}; kernel='rbf' has none"
    if name == "DummyClassifier" and part.strategy in _AT_RANDOM:
        return "it would store DummyClassifier, which answers at random; strategy='prior' does not"
    if name in _ALONE_OTHERWISE:
        return f"it would store {name}, which {_ALONE_OTHERWISE[name]}; PCA and TruncatedSVD do not"
    return _UNCHECKED.get(name, "")


def _parts(part: Any) -> Iterator[Any]:
    yield part
    for attribute in _MEMBERS:
        if getattr(part, attribute, None) is not None:
            yield from _parts(getattr(part, attribute))
    for attribute in _LISTS:
        for member in getattr(part, attribute, None) or ():
            yield from _parts(member[1])
