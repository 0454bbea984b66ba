"""The engine's deployment, serving the toy model."""

from typing import Any

from ray.serve import Application

from penstock.serving import deployment
from tests.engine.serving import toy


def build(args: dict[str, Any]) -> Application:
    """What the test's serve config names."""
    return deployment.Predictions.bind(args.get("book", "prod"), {"overflow": toy.CONTRACT})  # type: ignore[attr-defined,no-any-return]
