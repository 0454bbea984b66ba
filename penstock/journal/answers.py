"""One answer's two forms: what the journal keeps of it (its outcome), and the JSON in which it is given."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

Predicted = np.ndarray[Any, np.dtype[np.float64]]


class Maker:
    """Makes JSON outcomes of what `Artifact.predict` gives, for the classes of a classifier, none for a regressor.

    An outcome is what the journal keeps of an answer: `prediction`, `missing` (the lookups that found no row), and a
    classifier's `probabilities`. Of equally probable classes the first wins; NaN is null.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        names = [_encode(name) for name in classes]
        self._heads = [b'{"prediction":%b,"missing":' % name for name in names]
        self._labels = [b"%b%b:" % (b"," if at else b',"probabilities":{', name) for at, name in enumerate(names)]

    def __call__(self, predicted: Predicted, missing: Sequence[tuple[str, ...]]) -> list[bytes]:
        """The outcomes of n rows."""
        if not missing:
            return []
        lost = [b"[]" if not names else _encode(names) for names in missing]
        numbers = _encode(predicted.ravel().tolist())[1:-1].split(b",")
        if not self._heads:
            return _joined(b'{"prediction":', numbers, b',"missing":', lost, b"}")
        heads = [self._heads[best] for best in predicted.argmax(axis=1).tolist()]
        step = len(self._labels)
        labelled = [part for at, label in enumerate(self._labels) for part in (label, numbers[at::step])]
        return _joined(heads, lost, *labelled, b"}}")


class Form:
    """How answers of one release and one set of snapshots look: `id`, the outcome, then what is the same for all."""

    def __init__(self, release: int, snapshots: bytes) -> None:
        same = b',"release":%d,"snapshots":%b,"unchanged":' % (release, snapshots)
        self._new, self._unchanged = same + b"false}", same + b"true}"

    def new(self, ids: Sequence[str], outcomes: Sequence[bytes]) -> list[bytes]:
        """The JSON of n answers that were just predicted."""
        return _joined(
            b'{"id":"', [id_.encode() for id_ in ids], b'",', [outcome[1:-1] for outcome in outcomes], self._new
        )

    def unchanged(self, id_: str, outcome: bytes) -> bytes:
        """The JSON of the same answer when it is given again."""
        return b'{"id":"%b",%b%b' % (id_.encode(), outcome[1:-1], self._unchanged)


def again(answer: bytes) -> bytes:
    """An answer as it is given again."""
    return answer if answer.endswith(b"true}") else answer[: -len("false}")] + b"true}"


def _joined(*parts: bytes | list[bytes]) -> list[bytes]:
    """One text a row from what is the same for all and what each row has of its own."""
    columns = [repeat(part) if isinstance(part, bytes) else part for part in parts]
    return list(map(b"".join, zip(*columns, strict=False)))


_encode = msgspec.json.Encoder().encode
