"""What a model that is not packed says of itself."""

import msgspec


class Fallback(msgspec.Struct, frozen=True):
    """The library that predicts in the replica, and what its last call took for each of its rows, if there was one."""

    library: str
    us_per_row: float | None
