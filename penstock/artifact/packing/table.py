"""What is packed how: the table that `penstock doctor --estimators` prints and docs/models.md shows."""

from typing import NamedTuple

from penstock.artifact.packing.bayes import BAYES
from penstock.artifact.packing.boosting.catboost import CATBOOST
from penstock.artifact.packing.boosting.lightgbm import LIGHTGBM
from penstock.artifact.packing.boosting.xgboost import XGBOOST
from penstock.artifact.packing.ensembles.kinds import ENSEMBLES
from penstock.artifact.packing.estimators import INSIDE
from penstock.artifact.packing.families import TRANSFORMERS
from penstock.artifact.packing.features import FEATURES
from penstock.artifact.packing.linear import LINEAR
from penstock.artifact.packing.networks import NETWORKS
from penstock.artifact.packing.scaling import SCALERS
from penstock.artifact.packing.texts import TEXTS
from penstock.artifact.packing.trees import BOOSTED, FORESTS, TREES

_BITS = "the same bits"
_ULPS = "the same bits; after an exponential a few units of the last place"
_SUMS = "within 1e-12: sums in another order"


class Row(NamedTuple):
    """Classes of one family, what they become, and how near their answers are to those of their library."""

    classes: tuple[str, ...]
    becomes: str
    equal: str


def rows() -> list[Row]:
    """The families that are packed, then what becomes of anything else."""
    encoders = tuple(name for name in TRANSFORMERS if name not in {"Pipeline", *INSIDE, *FEATURES, *SCALERS, *TEXTS})
    return [
        Row((*TREES, *FORESTS), "nodes", _BITS),
        Row(BOOSTED, "nodes", _ULPS),
        Row(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), "nodes and sets of categories", _ULPS),
        Row(LIGHTGBM, "nodes and sets of categories; not linear_tree", _BITS),
        Row(XGBOOST, "nodes and sets of categories, sums in float32; not gblinear, not multi_output_tree", _BITS),
        Row(
            CATBOOST,
            "nodes, tables of categories; with texts or embeddings its own file, from which CatBoost itself predicts",
            _ULPS,
        ),
        Row(LINEAR, "coefficients; classifiers without probabilities answer scores", _SUMS),
        Row((*BAYES, *NETWORKS), "a model per layer; instructions", _SUMS),
        Row(
            ("CalibratedClassifierCV",), "its classifiers, and a curve for each (sigmoid, isotonic, temperature)", _ULPS
        ),
        Row(
            tuple(ENSEMBLES),
            "their members, and instructions that join them; a hard vote of linear models, trees and boosting",
            _ULPS,
        ),
        Row(
            tuple(INSIDE), "the estimator in them; a threshold decides the prediction, not the probabilities", "as that"
        ),
        Row(("Pipeline", *encoders), "instructions on columns", _BITS),
        Row((*SCALERS, *FEATURES), "instructions on columns; FunctionTransformer of numpy's functions", _SUMS),
        Row(tuple(TEXTS), "terms of a text feature; not a function of one's own, nor 2**16 hashed places", _BITS),
        Row(("any other of scikit-learn",), "a skops file: the library itself predicts, in 0.1 to 40 ms a row", _BITS),
        Row(
            ("any other class",),
            "a skops file, if Model(trusted_types=...) names it; else refused before the fit",
            _BITS,
        ),
    ]


def markdown() -> str:
    """The rows as a table of Markdown."""
    lines = ["| estimator or transformer | becomes | its answers are |", "|---|---|---|"]
    lines += [f"| {', '.join(row.classes)} | {row.becomes} | {row.equal} |" for row in rows()]
    return "\n".join(lines) + "\n"
