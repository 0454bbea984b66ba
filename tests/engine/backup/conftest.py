"""The service of the toy model, whose predictions are backed up."""

from tests.engine.serving.conftest import service, start

__all__ = ["service", "start"]
