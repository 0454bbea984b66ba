"""Why a publish stopped."""

from penstock.errors import PenstockError


class PublishError(PenstockError):
    """A publish stopped before its table became current. What was current still is."""
