"""What is packed, by the name of its class: each transformer as instructions, each estimator as a model."""

from penstock.artifact.packing.bayes import BAYES
from penstock.artifact.packing.boosting.catboost import CATBOOST, pack_catboost
from penstock.artifact.packing.boosting.lightgbm import LIGHTGBM, pack_lightgbm
from penstock.artifact.packing.boosting.xgboost import XGBOOST, pack_xgboost
from penstock.artifact.packing.columns import COLUMNS
from penstock.artifact.packing.encoders import one_hot, ordinal, target
from penstock.artifact.packing.ensembles.calibration import pack_calibrated
from penstock.artifact.packing.ensembles.decisions import DECISIONS
from penstock.artifact.packing.ensembles.kinds import ENSEMBLES
from penstock.artifact.packing.features import FEATURES
from penstock.artifact.packing.hist import pack_hist
from penstock.artifact.packing.linear import LINEAR, pack_linear
from penstock.artifact.packing.networks import NETWORKS
from penstock.artifact.packing.program import Families, Packer
from penstock.artifact.packing.scaling import SCALERS
from penstock.artifact.packing.texts import TEXTS
from penstock.artifact.packing.trees import BOOSTED, FORESTS, TREES, pack_boosted, pack_forest

TRANSFORMERS = {
    **COLUMNS,
    "OrdinalEncoder": ordinal,
    "OneHotEncoder": one_hot,
    "TargetEncoder": target,
    **FEATURES,
    **SCALERS,
    **TEXTS,
}
_OF_CLASSES: tuple[tuple[tuple[str, ...], Packer], ...] = (
    (("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), pack_hist),
    ((*TREES, *FORESTS), pack_forest),
    (BOOSTED, pack_boosted),
    (LINEAR, pack_linear),
    (LIGHTGBM, pack_lightgbm),
    (XGBOOST, pack_xgboost),
    (CATBOOST, pack_catboost),
    (("CalibratedClassifierCV",), pack_calibrated),
)
PACKERS = {
    **{name: packer for names, packer in _OF_CLASSES for name in names},
    **ENSEMBLES,
    **NETWORKS,
    **BAYES,
}
FAMILIES = Families(TRANSFORMERS, PACKERS, DECISIONS)
