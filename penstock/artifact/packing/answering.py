"""Whether an unfitted estimator will answer in the form that the contract declares: probabilities, scores, values."""

from typing import Any

import numpy as np

from penstock.artifact.packing.estimators import INSIDE
from penstock.artifact.packing.model import public_name, sklearn_name
from penstock.contract.contract import Output
from penstock.errors import UnsupportedEstimator

_SEVERAL_UNSAID = ("MLPRegressor",)
"""Regressors that take several outputs, though their tags do not say so."""
THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")


def demand_answers(estimator: Any, output: Output, name: str) -> None:
    """UnsupportedEstimator if the estimator of this name will answer otherwise, as far as is known before the fit."""
    thing = f"estimator {name}"
    kind = _kind_of(estimator)
    if kind not in ("", output.kind):
        found = f"a {kind}" if kind in ("classifier", "regressor") else "what is neither classifier nor regressor"
        raise UnsupportedEstimator(
            thing,
            expected=f"a {output.kind}",
            found=found,
            todo=f"Take a {output.kind}, as the contract's Output says.",
        )
    _demand_votes(estimator, thing)
    if output.kind == "regressor":
        if output.values and not _takes_several(estimator):
            todo = "Put it into sklearn.multioutput.MultiOutputRegressor."
            expected = f"a regressor of several outputs, for {', '.join(value.name for value in output.values)}"
            raise UnsupportedEstimator(thing, expected=expected, found="one of one output", todo=todo)
        if not output.values and _takes_only_several(estimator):
            todo = "Take the regressor in it, or one quantile, or declare several `values` of the contract's Output."
            raise UnsupportedEstimator(thing, expected="a regressor of one output", found="one of several", todo=todo)
        return
    if _takes_only_several(estimator):
        todo = "Take the classifier in it."
        raise UnsupportedEstimator(thing, expected="a classifier of one outcome", found="one of several", todo=todo)
    probable = has_probabilities(estimator)
    if output.scores and probable:
        expected, todo = "a classifier without predict_proba", "Leave out `scores=True` of the contract's Output."
        raise UnsupportedEstimator(thing, expected=expected, found="one with it", todo=todo)
    if not output.scores and not probable:
        todo = "Put it into CalibratedClassifierCV, or let it answer its scores: `Output(..., scores=True)`."
        raise UnsupportedEstimator(thing, expected="a classifier with predict_proba", found="one without", todo=todo)
    last = final_step(estimator)
    if getattr(last, "decision_function_shape", "") == "ovo" and len(output.classes) > 2 and output.scores:
        expected, todo = "one score for each class", "Set decision_function_shape='ovr'."
        raise UnsupportedEstimator(thing, expected=expected, found="decision_function_shape='ovo'", todo=todo)
    if getattr(last, "multi_class", "") == "one_vs_one" and len(output.classes) > 2 and not output.scores:
        expected, todo = "probabilities of several classes", "Set multi_class='one_vs_rest'."
        raise UnsupportedEstimator(thing, expected=expected, found="multi_class='one_vs_one'", todo=todo)
    wrong = "predict_proba" if output.scores else "decision_function"
    if getattr(last, "response_method", "") == wrong:
        on, todo = "decision scores" if output.scores else "probabilities", "Set response_method='auto'."
        raise UnsupportedEstimator(
            thing, expected=f"a threshold on {on}", found=f"response_method={wrong!r}", todo=todo
        )


def _kind_of(estimator: Any) -> str:
    """What an estimator of a known library is: a classifier, a regressor, or something else; "" of any other one."""
    last = final_step(estimator)
    name = public_name(last)
    if "." in name:
        said = {"Classifier": "classifier", "Regressor": "regressor"}
        return next((kind for end, kind in said.items() if name.endswith(end)), "")
    if isinstance(last, str):
        return last
    return str(last.__sklearn_tags__().estimator_type) if name else ""


def has_probabilities(estimator: Any) -> bool:
    """Whether it will have predict_proba. A stack that is to end in its own LogisticRegression has it once fitted."""
    name = public_name(estimator)
    if hasattr(estimator, "predict_proba"):
        return True
    if name == "Pipeline":
        return has_probabilities(estimator.steps[-1][1])
    if name in INSIDE:
        return has_probabilities(estimator.estimator)
    return name == "StackingClassifier" and estimator.final_estimator is None


def _takes_several(estimator: Any) -> bool:
    last = final_step(estimator)
    if public_name(last) in _SEVERAL_UNSAID or not hasattr(last, "__sklearn_tags__"):
        return True
    return bool(last.__sklearn_tags__().target_tags.multi_output)


def _demand_votes(estimator: Any, thing: str) -> None:
    """UnsupportedEstimator if there is a soft vote with a member that has no probabilities."""
    parts = [estimator, *estimator.get_params(deep=True).values()] if hasattr(estimator, "get_params") else []
    for vote in parts:
        if public_name(vote) == "VotingClassifier" and vote.voting == "soft":
            members = [member for _, member in vote.estimators if not isinstance(member, str)]
            without = [type(final_step(member)).__name__ for member in members if not has_probabilities(member)]
            if without:
                todo = "Put it into CalibratedClassifierCV, or set voting='hard'."
                expected = "members of a soft vote that have predict_proba"
                raise UnsupportedEstimator(thing, expected=expected, found=f"{without[0]} without it", todo=todo)


def _several_by_loss(last: Any) -> bool:
    """Whether a booster of a library will answer several values for one outcome, by its loss."""
    told: dict[str, Any] = last.get_params() if "." in public_name(last) and hasattr(last, "get_params") else {}
    loss = str(told.get("loss_function") or "")
    return loss.startswith(("MultiQuantile", "MultiRMSE")) or np.size(told.get("quantile_alpha", 0)) > 1


def _takes_only_several(estimator: Any) -> bool:
    last = final_step(estimator)
    if _several_by_loss(last):
        return True
    return bool(sklearn_name(last)) and not last.__sklearn_tags__().target_tags.single_output


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline; any other estimator itself."""
    return last_step(estimator.steps[-1][1]) if public_name(estimator) == "Pipeline" else estimator


def final_step(estimator: Any) -> Any:
    """What answers: the last of a pipeline, without the searches around it. A threshold answers by itself."""
    last = last_step(estimator)
    searches = public_name(last) in INSIDE and public_name(last) not in THRESHOLDS
    return final_step(last.estimator) if searches else last
