"""Every private name of scikit-learn that packing and skops files use.

Without an attribute the estimator is not packed: it becomes a skops file, which predicts the same and is slower. A test
names each one that an upgrade has moved.
"""

from typing import Any, NamedTuple

from penstock.errors import UnsupportedEstimator


class PrivateAttribute(NamedTuple):
    """A private attribute, by its dotted path, of fitted estimators of a class."""

    owner: str
    path: str

    def of(self, fitted: Any) -> Any:
        """The attribute of a fitted estimator; UnsupportedEstimator, which sends packing to skops, if it is missing."""
        found = fitted
        for name in self.path.split("."):
            try:
                found = getattr(found, name)
            except AttributeError:
                raise UnsupportedEstimator(
                    f"{type(fitted).__name__}",
                    expected=f"the attribute {self.path}, as this scikit-learn is known to have it",
                    found="none",
                ) from None
        return found


_HIST = "HistGradientBoostingClassifier"
PREDICTORS = PrivateAttribute(_HIST, "_predictors")
BASELINE = PrivateAttribute(_HIST, "_baseline_prediction")
HIST_LINK = PrivateAttribute(_HIST, "_loss.link")
PREPROCESSOR = PrivateAttribute(_HIST, "_preprocessor")
KNOWN_CATEGORIES = PrivateAttribute(_HIST, "_bin_mapper.make_known_categories_bitsets")
ALLOWS_NAN = PrivateAttribute("RandomForestClassifier", "_support_missing_values")
START = PrivateAttribute("GradientBoostingClassifier", "_raw_predict_init")
GLM_LINK = PrivateAttribute("PoissonRegressor", "_base_loss.link")
MISSING_PLACES = PrivateAttribute("OrdinalEncoder", "_missing_indices")
GROUPS_INFREQUENT = PrivateAttribute("OneHotEncoder", "_infrequent_enabled")
INFREQUENT = PrivateAttribute("OneHotEncoder", "_infrequent_indices")
TO_INFREQUENT = PrivateAttribute("OneHotEncoder", "_default_to_infrequent_mappings")
DROPPED = PrivateAttribute("OneHotEncoder", "_drop_idx_after_grouping")
WIDTHS = PrivateAttribute("OneHotEncoder", "_n_features_outs")
INPUT_PLACES = PrivateAttribute("ColumnTransformer", "_transformer_to_input_indices")
TUNED_LABEL = PrivateAttribute("TunedThresholdClassifierCV", "_curve_scorer._get_pos_label")
POWER_SCALER = PrivateAttribute("PowerTransformer", "_scaler")
FILL_DTYPE = PrivateAttribute("SimpleImputer", "_fill_dtype")

TRUSTED_TYPES = (
    "functools.partial",
    "numpy.dtype",
    "scipy.sparse._csr.csr_matrix",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)
"""Types that a skops file may hold besides those that skops itself trusts. Trees and sparse matrices are checked after
loading, because scikit-learn walks them without a look at their bounds; neighbour trees cannot be checked and are left
out. A partial calls only what is trusted itself; histogram boosting over categories has one of check_array. A type that
has moved makes an estimator no candidate."""
