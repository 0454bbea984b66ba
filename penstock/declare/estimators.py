"""The estimator of a model that declares no other: it takes categories and missing values as they are."""

from typing import Any, Literal

from penstock.errors import ContractError


def boosting(kind: Literal["classifier", "regressor"], *, outputs: int = 1, **changes: Any) -> Any:
    """A new, small gradient boosting of scikit-learn. `changes`: other parameters of it, such as `max_iter=500`.

    `outputs`: with several values, as many of it side by side. ContractError for a kind that there is not.
    """
    if kind not in ("classifier", "regressor"):
        raise ContractError("kind of boosting()", expected="'classifier' or 'regressor'", found=repr(kind))
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    parameters: dict[str, Any] = {
        "max_iter": 200,
        "learning_rate": 0.05,
        "max_depth": 4,
        "l2_regularization": 1.0,
        "categorical_features": "from_dtype",
        "early_stopping": False,
        "random_state": 0,
    }
    chosen = HistGradientBoostingClassifier if kind == "classifier" else HistGradientBoostingRegressor
    made = chosen(**(parameters | changes))
    if outputs == 1:
        return made
    from sklearn.multioutput import MultiOutputRegressor

    return MultiOutputRegressor(made)
