"""The deployment of serve_app, serving the toy model."""

from typing import Any

import toy
from ray.serve import Application

from serve_app import deployment


def build(args: dict[str, Any]) -> Application:
    """What the test's serve config names."""
    return deployment.Predictions.bind(args.get("book", "prod"), {"overflow": toy.CONTRACT})  # type: ignore[attr-defined,no-any-return]
