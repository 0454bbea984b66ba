"""One answer's two forms: what the journal keeps of it (its outcome), and the JSON in which it is given."""

from collections.abc import Sequence

import msgspec
import numpy as np

from resources.outcomes import outcomes

MISSING_NOTHING = b'"missing":[]'


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What was predicted, as the journal keeps it. `missing` are the lookups that found no row."""

    prediction: str | float | None
    missing: tuple[str, ...]
    probabilities: dict[str, float] | msgspec.UnsetType = msgspec.UNSET


def made(
    classes: Sequence[str], predicted: np.ndarray[tuple[int, ...], np.dtype[np.float64]], missing: list[tuple[str, ...]]
) -> list[bytes]:
    """The JSON outcomes of n rows as `Artifact.predict` gives them."""
    return [
        _encode(Outcome(prediction, lost, probabilities or msgspec.UNSET))
        for (prediction, probabilities), lost in zip(outcomes(classes, predicted), missing, strict=True)
    ]


class Form:
    """How answers of one release and one set of snapshots look: `id`, the outcome, then what is the same for all."""

    def __init__(self, release: int, snapshots: bytes) -> None:
        same = b',"release":%d,"snapshots":%b,"unchanged":' % (release, snapshots)
        self._new, self._unchanged = same + b"false}", same + b"true}"

    def new(self, id_: str, outcome: bytes) -> bytes:
        """The JSON of an answer that was just predicted."""
        return b'{"id":"%b",%b%b' % (id_.encode(), outcome[1:-1], self._new)

    def unchanged(self, id_: str, outcome: bytes) -> bytes:
        """The JSON of the same answer when it is given again."""
        return b'{"id":"%b",%b%b' % (id_.encode(), outcome[1:-1], self._unchanged)


def again(answer: bytes) -> bytes:
    """An answer as it is given again."""
    return answer if answer.endswith(b"true}") else answer[: -len("false}")] + b"true}"


_encode = msgspec.json.Encoder().encode
