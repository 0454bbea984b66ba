"""The threshold that decides which of two classes a classifier answers."""

import msgspec


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of two classes, the one at `place` is answered where its probability is at least `at`, else the other."""

    place: int
    at: float
