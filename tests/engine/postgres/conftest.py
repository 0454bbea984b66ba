"""The service of the toy model, over books that are reached in the ways of operators."""

from tests.engine.serving.conftest import service, start

__all__ = ["service", "start"]
