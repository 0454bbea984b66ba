"""One answer's two forms: what the journal keeps of it (its outcome), and the JSON in which it is given."""

from collections.abc import Sequence
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
        names = [_encode(name).replace(b"%", b"%%") for name in classes]
        probabilities = b",".join(b"%b:%%b" % name for name in names)
        self._forms = [
            b'{"prediction":%b,"missing":%%b,"probabilities":{%b}}' % (name, probabilities) for name in names
        ]

    def __call__(self, predicted: Predicted, missing: Sequence[tuple[str, ...]]) -> list[bytes]:
        """The outcomes of n rows."""
        if not missing:
            return []
        lost = [b"[]" if not names else _encode(names) for names in missing]
        numbers = _encode(predicted.tolist())
        if not self._forms:
            values = numbers[1:-1].split(b",")
            return [b'{"prediction":%b,"missing":%b}' % pair for pair in zip(values, lost, strict=True)]
        forms = [self._forms[best] for best in predicted.argmax(axis=1).tolist()]
        rows = numbers[2:-2].split(b"],[")
        return [form % (names, *row.split(b",")) for form, names, row in zip(forms, lost, rows, strict=True)]


class Form:
    """How answers of one release and one set of snapshots look: `id`, the outcome, then what is the same for all."""

    def __init__(self, release: int, snapshots: bytes) -> None:
        same = b',"release":%d,"snapshots":%b,"unchanged":' % (release, snapshots)
        self._new, self._unchanged = same + b"false}", same + b"true}"

    def new(self, ids: Sequence[str], outcomes: Sequence[bytes]) -> list[bytes]:
        """The JSON of n answers that were just predicted."""
        end = self._new
        pairs = zip(ids, outcomes, strict=True)
        return [b'{"id":"%b",%b%b' % (id_.encode(), outcome[1:-1], end) for id_, outcome in pairs]

    def unchanged(self, id_: str, outcome: bytes) -> bytes:
        """The JSON of the same answer when it is given again."""
        return b'{"id":"%b",%b%b' % (id_.encode(), outcome[1:-1], self._unchanged)


def again(answer: bytes) -> bytes:
    """An answer as it is given again."""
    return answer if answer.endswith(b"true}") else answer[: -len("false}")] + b"true}"


_encode = msgspec.json.Encoder().encode
