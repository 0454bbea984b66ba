"""The service of the toy model, whose journal is kept up."""

from tests.engine.serving.conftest import service, start

__all__ = ["service", "start"]
