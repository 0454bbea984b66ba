"""The decision_function of classifiers whose packed model has other raw scores."""

from typing import Any

from penstock.artifact.packing.estimators import pack_estimator, scores
from penstock.artifact.packing.program import Block, Decision, ProgramBuilder, unsupported
from penstock.artifact.program import Op


def _quadratic(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """QuadraticDiscriminantAnalysis: of two classes, what the second has more than the first."""
    slots = builder.ask(pack_estimator(builder, estimator, block), raw=True)
    return ([builder.two(Op.MINUS, slots[1], slots[0])] if len(slots) == 2 else slots), False


def _adaboost(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """AdaBoostClassifier: of several classes, what its probabilities are made of times the others."""
    slots = builder.ask(pack_estimator(builder, estimator, block), raw=True)
    others = estimator.n_classes_ - 1
    return [builder.with_constant(Op.MULTIPLY, slot, others) if others > 1 else slot for slot in slots], False


def _bag(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """BaggingClassifier: the mean of the members' own, each on its own columns."""
    given: list[list[int]] = []
    for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        if len(member.classes_) != estimator.n_classes_:
            raise unsupported(estimator, "members that know every class", f"one of {len(member.classes_)}")
        given.append(scores(builder, member, Block([block.columns[at] for at in features], block.sparse))[0])
    made: list[int] = []
    for column in zip(*given, strict=True):
        total = builder.with_constant(Op.ADD, column[0], 0.0)
        for slot in column[1:]:
            total = builder.two(Op.PLUS, total, slot)
        made.append(builder.with_constant(Op.DIVIDE, total, len(given)))
    return made, False


def _one_vs_rest(builder: ProgramBuilder, estimator: Any, block: Block) -> tuple[list[int], bool]:
    """OneVsRestClassifier: that of each class's classifier."""
    if estimator.multilabel_ or any(type(one).__name__ == "_ConstantPredictor" for one in estimator.estimators_):
        raise unsupported(estimator, "one label per row, of classes that differ")
    given = [scores(builder, member, block) for member in estimator.estimators_]
    return [slots[0] for slots, _ in given], any(single for _, single in given)


DECISIONS: dict[str, Decision] = {
    "QuadraticDiscriminantAnalysis": _quadratic,
    "AdaBoostClassifier": _adaboost,
    "BaggingClassifier": _bag,
    "OneVsRestClassifier": _one_vs_rest,
}
