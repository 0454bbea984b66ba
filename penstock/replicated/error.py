"""Why a publish stopped."""

from model_tools.errors import PenstockError


class PublishError(PenstockError):
    """A publish that stopped before its table became current; what was current still is."""
