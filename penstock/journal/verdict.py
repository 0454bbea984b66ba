"""What came of making a journaled prediction again."""

from typing import Literal

import msgspec

Stage = Literal["", "contract", "artifact", "snapshots", "looked_up", "features", "output"]


class Verdict(msgspec.Struct, frozen=True):
    """One replayed prediction. `stage` is the first that differs, empty where none does.

    - `needs_code`, at the stage "contract", is the code that made the prediction and is not here.
    - `near`: nothing differs but last bits of what the library itself predicts, which depend on the rows beside a row.
    """

    id: str
    model: str
    release: int
    stage: Stage = ""
    expected: str = ""
    found: str = ""
    needs_code: str = ""
    near: bool = False

    @property
    def same(self) -> bool:
        """Whether the prediction was made again: to the bit where it is not `near`."""
        return not self.stage
