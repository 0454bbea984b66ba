"""What a classifier without probabilities answers: the place of its label, then its decision scores."""

from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import UnsupportedEstimator

if TYPE_CHECKING:
    from penstock.artifact.threshold import Threshold

Array = np.ndarray[Any, Any]


def labelled(scores: Array, threshold: "Threshold | None" = None) -> Array:
    """The place of the label, then the scores: (n, 2) of two classes, (n, 1 + k) of k.

    Two classes have one score, that of the second, which is answered where it is above 0, or as `threshold` decides.
    Of several classes the first of those with the greatest score is answered.
    """
    if threshold is not None:
        own = scores[:, 0] if threshold.place == 1 else -scores[:, 0]
        places = np.where(own >= threshold.at, threshold.place, 1 - threshold.place)
    else:
        places = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.column_stack([places, scores])


def own_scores(estimator: Any, table: Any) -> Array:
    """The same of a fitted estimator of scikit-learn: its own labels, and its decision scores.

    An estimator without decision_function has the votes of its members as scores, or else 1 for its label and 0 for
    other classes. Of two classes the score is what the second has more than the first.
    """
    classes = np.asarray(estimator.classes_)
    places = np.argmax(np.asarray(estimator.predict(table)).reshape(-1, 1) == classes, axis=1)
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(table), dtype=np.float64).reshape(len(places), -1)
    else:
        votes = _votes(estimator, table, len(classes))
        each = np.eye(len(classes))[places] if votes is None else votes
        scores = each[:, 1:] - each[:, :1] if len(classes) == 2 else each
    width = 1 if len(classes) == 2 else len(classes)
    if scores.shape[1] != width:
        raise UnsupportedEstimator(
            f"estimator {type(estimator).__name__}",
            expected=f"a decision_function with {width} scores for {len(classes)} classes",
            found=f"{scores.shape[1]}",
            todo="Set decision_function_shape='ovr', if it has that.",
        )
    return np.column_stack([places, scores])


def _votes(estimator: Any, table: Any, classes: int) -> Array | None:
    """The votes (n, classes) for each class in a VotingClassifier(voting="hard"); None for another estimator."""
    from penstock.artifact.packing.estimators import final_of

    final = final_of(estimator)
    if getattr(final, "voting", "") != "hard":
        return None
    voted = np.asarray(estimator.transform(table)).astype(np.int64)
    weights = voting_weights(final) or [1.0] * voted.shape[1]
    votes = np.zeros((len(voted), classes))
    for column, weight in zip(voted.T, weights, strict=True):
        votes[np.arange(len(voted)), column] += weight
    return votes


def voting_weights(estimator: Any) -> list[float] | None:
    """The weights of the members that take part in a vote; None where it has none."""
    if estimator.weights is None:
        return None
    pairs = zip(estimator.estimators, estimator.weights, strict=True)
    return [float(weight) for (_, member), weight in pairs if not isinstance(member, str)]
