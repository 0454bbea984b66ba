"""What is known of an estimator before the fit: whether it can be released at all."""

from typing import Any, Literal

import numpy as np
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.stats import randint
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import BisectingKMeans
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import NMF, SparsePCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.manifold import Isomap
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PowerTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from xgboost import XGBClassifier, XGBRegressor

from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Output, Value
from penstock.errors import UnsupportedEstimator
from tests.engine.artifact.estimator_table import PACKED


class OwnClassifier(ClassifierMixin, BaseEstimator):
    """What a team wrote itself."""

    def fit(self, x: Any, y: Any) -> "OwnClassifier":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), 2), 0.5)


LEAVES = [{"linear_tree": [False, True]}, {"max_depth": randint(1, 9)}]
REFUSED: dict[str, tuple[Any, str]] = {
    "one of a team's own": (OwnClassifier(), "OwnClassifier is not packed"),
    "in a pipeline": (make_pipeline(OwnClassifier()), "OwnClassifier is not packed"),
    "in a search": (GridSearchCV(OwnClassifier(), {}), "OwnClassifier is not packed"),
    "in a vote": (VotingClassifier([("a", OwnClassifier())], voting="soft"), "OwnClassifier is not packed"),
    "linear trees": (LGBMClassifier(linear_tree=True), "linear_tree=False"),
    "a linear booster": (XGBRegressor(booster="gblinear"), "gblinear"),
    "an alias of linear trees": (LGBMClassifier(linear_trees=True), "linear_tree=False"),
    "an objective without probabilities": (LGBMClassifier(objective="xentlambda"), "no probabilities with.*xentlambda"),
    "another one": (XGBClassifier(objective="binary:logitraw"), "not with 'binary:logitraw'"),
    "a mean with its variance": (CatBoostRegressor(loss_function="RMSEWithUncertainty"), "RMSEWithUncertainty"),
    "several labels": (CatBoostClassifier(loss_function="MultiLogloss"), "MultiLogloss"),
    "a stack of labels around it": (
        StackingClassifier([("own", LGBMClassifier())], stack_method="predict"),
        "probabilities or scores",
    ),
    "codes in float32": (make_pipeline(OneHotEncoder(dtype=np.float32), LGBMClassifier()), "dtype float64"),
    "bins in float32": (make_pipeline(KBinsDiscretizer(3, dtype=np.float32), LGBMClassifier()), "dtype float64"),
    "too many hashed terms": (make_pipeline(HashingVectorizer(), LGBMClassifier()), "n_features of at most"),
    "a start that is fitted": (
        make_pipeline(OneHotEncoder(), SplineTransformer(), GradientBoostingClassifier(init=LogisticRegression())),
        "constant start.*curves of SplineTransformer",
    ),
    "a curve of a target in float32": (
        TransformedTargetRegressor(XGBRegressor(), transformer=PowerTransformer()),
        "PowerTransformer.*unlike XGBoost",
    ),
    "the same in a pipeline": (
        TransformedTargetRegressor(XGBRegressor(), transformer=make_pipeline(StandardScaler(), PowerTransformer())),
        "PowerTransformer.*unlike XGBoost",
    ),
    "a target in bins": (
        TransformedTargetRegressor(LGBMRegressor(), transformer=KBinsDiscretizer(3)),
        "transformed by FunctionTransformer, .* not by KBinsDiscretizer",
    ),
    "a target with a way back of one's own": (
        TransformedTargetRegressor(LGBMRegressor(), transformer=FunctionTransformer(np.log, inverse_func=len)),
        "FunctionTransformer of a target",
    ),
    "a weighted median in float32": (AdaBoostRegressor(XGBRegressor()), "AdaBoostRegressor.*unlike XGBoost"),
    "a stack over a hard vote": (
        StackingClassifier([("vote", VotingClassifier([("own", LGBMClassifier())]))]),
        "members that answer probabilities or scores",
    ),
    "texts in files": (make_pipeline(TfidfVectorizer(input="filename"), LGBMClassifier()), "input='content'"),
    "a temperature of scores in float32": (
        CalibratedClassifierCV(XGBClassifier(), method="temperature"),
        "temperature.*unlike XGBoost",
    ),
    "a search that fits no best one": (GridSearchCV(LogisticRegression(), {}, refit=False), "refit"),
    "trees of several outputs": (XGBRegressor(multi_strategy="multi_output_tree"), "one_output_per_tree"),
    "without probabilities": (RidgeClassifier(), "predict_proba.*CalibratedClassifierCV"),
    "without probabilities of its own": (SVC(), "predict_proba"),
    "with a tree of neighbours": (KNeighborsClassifier(), "algorithm='brute'"),
    "truth values of texts": (
        make_pipeline(make_column_transformer((CountVectorizer(dtype=bool), "t")), LGBMClassifier()),
        "CountVectorizer is packed with dtype",
    ),
    "what a search may choose": (
        GridSearchCV(
            make_pipeline(LogisticRegression()),
            {"logisticregression": [LogisticRegression(C=9), KNeighborsClassifier()]},
        ),
        r"with logisticregression=KNeighborsClassifier\(\).*algorithm='brute'",
    ),
    "an option that a search in a vote may choose": (
        VotingClassifier([("a", RandomizedSearchCV(LGBMClassifier(), LEAVES))], voting="soft"),
        "with linear_tree=True",
    ),
    "a step with a tree of neighbours": (
        make_pipeline(KNeighborsTransformer(), LogisticRegression()),
        "algorithm='brute' has none",
    ),
    "a curved space with one": (
        make_pipeline(Isomap(), LogisticRegression()),
        "tree of Isomap; neighbors_algorithm='brute' has none",
    ),
    "labels that spread to neighbours": (LabelSpreading(kernel="knn"), "tree of LabelSpreading; kernel='rbf'"),
    "a tree of centres": (make_pipeline(BisectingKMeans(), LogisticRegression()), "tree of BisectingKMeans"),
    "a remainder with a tree": (
        make_pipeline(make_column_transformer(("drop", [0]), remainder=KNeighborsTransformer()), LogisticRegression()),
        "tree of KNeighborsTransformer",
    ),
    "a step that looks at all rows at once": (make_pipeline(NMF(), LogisticRegression()), "store NMF, which goes on"),
    "a step that takes no row alone": (make_pipeline(SparsePCA(), LogisticRegression()), "does not take one row alone"),
    "answers at random": (DummyClassifier(strategy="stratified"), "strategy that answers all rows the same.*at random"),
    "a tuned threshold in what is stored": (
        VotingClassifier(
            [("a", TunedThresholdClassifierCV(LogisticRegression())), ("b", GaussianProcessClassifier())], voting="soft"
        ),
        "cannot check its scorer; FixedThresholdClassifier has none",
    ),
    "a function of a team's own": (make_pipeline(FunctionTransformer(len), LogisticRegression()), "function of numpy"),
    "a target with one": (TransformedTargetRegressor(Ridge(), func=np.exp, inverse_func=len), "function of numpy"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_neither_be_packed_nor_stored_is_refused_before_the_fit(case: str) -> None:
    estimator, said = REFUSED[case]
    kind: Literal["classifier", "regressor"] = "regressor" if "Regressor" in type(estimator).__name__ else "classifier"
    with pytest.raises(UnsupportedEstimator, match=said):
        demand_storable(estimator, Output("y", kind))


@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed_is_let_through(name: str) -> None:
    demand_storable(PACKED[name].make(), Output("y", "regressor" if PACKED[name].task == "value" else "classifier"))


def test_what_skops_stores_and_what_a_model_trusts_is_let_through() -> None:
    demand_storable(KNeighborsClassifier(algorithm="brute"), Output("y", "classifier"))
    demand_storable(SVC(probability=True), Output("y", "classifier"))
    demand_storable(
        make_pipeline(make_column_transformer(("drop", [0])), LogisticRegression()), Output("y", "classifier")
    )
    demand_storable(StackingClassifier([("own", SVC())]), Output("y", "classifier"))
    demand_storable(
        make_pipeline(GridSearchCV(SVC(probability=True), {"C": [1]}, scoring="roc_auc")), Output("y", "classifier")
    )
    demand_storable(LGBMRegressor(objective="xentropy"), Output("y", "regressor"))
    demand_storable(OwnClassifier(), Output("y", "classifier"), [f"{__name__}.OwnClassifier"])


def test_a_hard_vote_of_searches_is_let_through_and_one_of_thresholds_is_not() -> None:
    def vote(member: Any) -> Any:
        return VotingClassifier([("a", member), ("b", "drop")])

    scores = Output("y", "classifier", scores=True)
    demand_storable(vote(GridSearchCV(make_pipeline(StandardScaler(), GridSearchCV(LGBMClassifier(), {})), {})), scores)
    with pytest.raises(UnsupportedEstimator, match="not of FixedThresholdClassifier"):
        demand_storable(vote(FixedThresholdClassifier(LGBMClassifier())), scores)


def test_a_booster_is_not_kept_to_be_trained_further() -> None:
    demand_storable(LGBMRegressor(), Output("y", "regressor"))
    with pytest.raises(UnsupportedEstimator, match=r"goes on learning is kept by skops.*LGBMRegressor"):
        demand_storable(LGBMRegressor(), Output("y", "regressor"), kept=True)


SCORES = Output("y", "classifier", ("a", "b", "c"), scores=True)
VALUES = Output("y", "regressor", values=(Value("first"), Value("second")))
OTHER_ANSWERS: dict[str, tuple[Any, Output, str]] = {
    "values where classes are declared": (
        Ridge(),
        Output("y", "classifier"),
        "expected a classifier, found a regressor",
    ),
    "classes where values are declared": (
        GridSearchCV(make_pipeline(StandardScaler(), LGBMClassifier()), {}),
        Output("y", "regressor"),
        "expected a regressor, found a classifier",
    ),
    "odd rows": (make_pipeline(IsolationForest()), Output("y", "regressor"), "found what is neither"),
    "neighbours": (make_pipeline(NearestNeighbors()), Output("y", "classifier"), "found what is neither"),
    "nothing behind a scaler": (make_pipeline(StandardScaler(), "passthrough"), Output("y", "regressor"), "neither"),
    "nothing": (StandardScaler(), Output("y", "regressor"), "found what is neither"),
    "probabilities where scores are declared": (LogisticRegression(), SCORES, "Leave out `scores=True`"),
    "scores of pairs": (SVC(decision_function_shape="ovo"), SCORES, "decision_function_shape='ovr'"),
    "one value of several": (make_pipeline(HistGradientBoostingRegressor()), VALUES, "MultiOutputRegressor"),
    "one value of a search": (GridSearchCV(LGBMRegressor(), {}), VALUES, "for first, second, found one of one output"),
    "a soft vote without probabilities": (
        make_pipeline(VotingClassifier([("line", RidgeClassifier()), ("gbm", LGBMClassifier())], voting="soft")),
        Output("y", "classifier"),
        "soft vote that have predict_proba, found RidgeClassifier without it.*CalibratedClassifierCV",
    ),
    "several quantiles": (
        XGBRegressor(objective="reg:quantileerror", quantile_alpha=[0.2, 0.8]),
        Output("y", "regressor"),
        "a regressor of one output, found one of several.*or one quantile",
    ),
    "several quantiles of CatBoost": (
        CatBoostRegressor(loss_function="MultiQuantile:alpha=0.2,0.8"),
        Output("y", "regressor"),
        "a regressor of one output, found one of several",
    ),
    "a transformed target of several values": (
        make_pipeline(TransformedTargetRegressor(XGBRegressor(), func=np.log, inverse_func=np.exp)),
        VALUES,
        "packed of one output, in MultiOutputRegressor of each",
    ),
    "labels of several outcomes": (
        make_pipeline(MultiOutputClassifier(LogisticRegression())),
        Output("y", "classifier"),
        "expected a classifier of one outcome",
    ),
    "several values of one": (MultiOutputRegressor(Ridge()), Output("y", "regressor"), "declare several `values`"),
    "scores where probabilities are declared, if a search chooses it": (
        GridSearchCV(make_pipeline(LogisticRegression()), {"logisticregression": [RidgeClassifier()]}),
        Output("y", "classifier"),
        "with logisticregression=RidgeClassifier.* predict_proba",
    ),
    "pairs of classes": (
        GaussianProcessClassifier(multi_class="one_vs_one"),
        Output("y", "classifier", ("a", "b", "c")),
        "multi_class='one_vs_rest'",
    ),
    "a threshold on scores": (
        FixedThresholdClassifier(LogisticRegression(), response_method="decision_function"),
        Output("y", "classifier"),
        "threshold on probabilities",
    ),
    "a searched threshold on scores": (
        GridSearchCV(FixedThresholdClassifier(LogisticRegression(), response_method="decision_function"), {}),
        Output("y", "classifier"),
        "threshold on probabilities",
    ),
    "a threshold on probabilities that there are not": (
        make_pipeline(FixedThresholdClassifier(make_pipeline(RidgeClassifier()), response_method="predict_proba")),
        Output("y", "classifier", ("a", "b"), scores=True),
        "threshold on decision scores.*response_method='auto'",
    ),
}


@pytest.mark.parametrize("case", OTHER_ANSWERS)
def test_an_answer_in_another_form_than_declared_is_refused_before_the_fit(case: str) -> None:
    estimator, output, said = OTHER_ANSWERS[case]
    with pytest.raises(UnsupportedEstimator, match=said):
        demand_storable(estimator, output)
