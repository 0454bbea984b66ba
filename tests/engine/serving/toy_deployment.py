"""The engine's deployment, serving the toy model."""

from typing import Any

import msgspec
from ray.serve import Application

from penstock.serving import deployment
from tests.engine.serving import toy


def build(args: dict[str, Any]) -> Application:
    """What the test's serve config names."""
    contracts = {name: msgspec.structs.replace(toy.CONTRACT, model=name) for name in ("overflow", "big")}
    served = args.get("models", ["overflow"])
    return deployment.Predictions.bind(args.get("book", "prod"), contracts, models=served)  # type: ignore[attr-defined,no-any-return]
