"""Why a publish stopped."""

from penstock.errors import PenstockError


class PublishError(PenstockError):
    """A publish that stopped before its table became current; what was current still is."""
