"""An answer's id, its prediction (what the journal keeps of it), and the JSON in which it is sent."""

import os
import time
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.conformal import Conformal
from penstock.artifact.threshold import Threshold

Predicted = np.ndarray[Any, np.dtype[np.float64]]

RANDOM_BYTES = 2048
"""Random bytes are drawn this many at a time."""
_COUNTERS = [f"7{count:03x}" for count in range(1 << 12)]


class Ids:
    """Makes ids of predictions: UUIDs of version 7, increasing within the process, so their order is that of time."""

    def __init__(self) -> None:
        self._last = 0
        self._drawn = b""

    def __call__(self, count: int) -> list[str]:
        """New ids: 48 bits of milliseconds, 12 that count within one, 12 random ones for all and 48 for each."""
        first = max(self._last + 1, time.time_ns() // 1_000_000 << 12)
        self._last = first + count - 1
        common, random = self._random(2).hex()[:3], self._random(6 * count).hex(",", 6).split(",")
        made: list[str] = []
        while (done := len(made)) < count:
            milliseconds, begin = divmod(first + done, 1 << 12)
            end = min(1 << 12, begin + count - done)
            digits = f"{milliseconds:012x}"
            same = f"{digits[:8]}-{digits[8:]}"
            counters = zip(_COUNTERS[begin:end], random[done:], strict=False)
            made += [f"{same}-{counter}-8{common}-{own}" for counter, own in counters]
        return made

    def _random(self, size: int) -> bytes:
        if len(self._drawn) < size:
            self._drawn = os.urandom(max(size, RANDOM_BYTES))
        taken, self._drawn = self._drawn[:size], self._drawn[size:]
        return taken


class PredictionForm(msgspec.Struct, frozen=True):
    """What a model's numbers are: the `classes` of a classifier, in the order of their numbers, or the names of
    several `values` of a regressor, or one value.

    - `scores`: whether a classifier answers its label and its decision scores, instead of probabilities.
    - `threshold`, `conformal`: as those of the artifact.
    """

    classes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    scores: bool = False
    threshold: Threshold | None = None
    conformal: Conformal | None = None

    @property
    def scored(self) -> tuple[str, ...]:
        """The classes that have a decision score: of two the second."""
        return self.classes[1:] if len(self.classes) == 2 else self.classes


class PredictionEncoder:
    """Encodes what `Artifact.predict` returns as JSON predictions.

    - A prediction holds `prediction`, `missing` (the lookups that found no row), and a classifier's `probabilities`, or
      `scores` where it has none. The prediction of several values is an object of them.
    - With `conformal` it also holds the `interval` around a value, or the `prediction_set` of classes.
    - The most probable class is the prediction, the first of equally probable ones; or what `threshold` decides.
    - NaN becomes null.
    """

    def __init__(self, form: PredictionForm) -> None:
        self._form, self._threshold, self._conformal = form, form.threshold, form.conformal
        self._names = names = [_encode(name) for name in form.classes]
        self._heads = [b'{"prediction":%b,"missing":' % name for name in names]
        numbers = b',"scores":{' if form.scores else b',"probabilities":{'
        told = [_encode(name) for name in form.scored] if form.scores else names
        self._labels = [b"%b%b:" % (b"," if at else numbers, name) for at, name in enumerate(told)]
        self._values = [
            b"%b%b:" % (b"," if at else b'{"prediction":{', _encode(name)) for at, name in enumerate(form.values)
        ]

    def __call__(self, predicted: Predicted, missing: Sequence[tuple[str, ...]]) -> list[bytes]:
        """The predictions of n rows."""
        if not missing:
            return []
        lost = [b"[]" if not names else _encode(names) for names in missing]
        best: list[int] = []
        if self._heads:
            best = chosen_classes(predicted, self._form)
            predicted = predicted[:, 1:] if self._form.scores else predicted
        numbers = _encode(predicted.ravel().tolist())[1:-1].split(b",")
        if self._values:
            return _joined(*_labelled(self._values, numbers), b'},"missing":', lost, b"}")
        if not self._heads:
            return _joined(b'{"prediction":', numbers, b',"missing":', lost, *self._interval(predicted), b"}")
        heads = [self._heads[place] for place in best]
        return _joined(heads, lost, *_labelled(self._labels, numbers), b"}", *self._set(predicted), b"}")

    def _interval(self, predicted: Predicted) -> list[bytes | list[bytes]]:
        if self._conformal is None:
            return []
        return [b',"interval":', [_encode(ends) for ends in self._conformal.intervals(predicted).tolist()]]

    def _set(self, predicted: Predicted) -> list[bytes | list[bytes]]:
        if self._conformal is None:
            return []
        held = self._conformal.sets(predicted).tolist()
        texts = [b",".join(name for name, one in zip(self._names, row, strict=True) if one) for row in held]
        return [b',"prediction_set":[', texts, b"]"]


class AnswerForm:
    """The JSON of answers of one release and one set of snapshots: `id`, the prediction, and what all share."""

    def __init__(self, release: int, snapshots: bytes) -> None:
        same = b',"release":%d,"snapshots":%b,"unchanged":' % (release, snapshots)
        self._new, self._unchanged = same + b"false}", same + b"true}"

    def new(self, ids: Sequence[str], predictions: Sequence[bytes]) -> list[bytes]:
        """n answers that were just predicted."""
        return _joined(
            b'{"id":"',
            [id_.encode() for id_ in ids],
            b'",',
            [prediction[1:-1] for prediction in predictions],
            self._new,
        )

    def unchanged(self, id_: str, prediction: bytes) -> bytes:
        """A stored answer, sent again."""
        return b'{"id":"%b",%b%b' % (id_.encode(), prediction[1:-1], self._unchanged)


def repeated(answer: bytes) -> bytes:
    """An answer as it is sent again."""
    return answer if answer.endswith(b"true}") else answer[: -len("false}")] + b"true}"


def _joined(*parts: bytes | list[bytes]) -> list[bytes]:
    """One text per row: a `bytes` part is the same for all rows, a list has one text per row."""
    columns = [repeat(part) if isinstance(part, bytes) else part for part in parts]
    return list(map(b"".join, zip(*columns, strict=False)))


def _labelled(labels: Sequence[bytes], numbers: list[bytes]) -> list[bytes | list[bytes]]:
    """Each label with its numbers of all rows; `numbers` are row by row."""
    return [part for at, label in enumerate(labels) for part in (label, numbers[at :: len(labels)])]


_encode = msgspec.json.Encoder().encode


def chosen_classes(predicted: Predicted, form: PredictionForm) -> list[int]:
    """The place of the answered class for each of n rows: the label of scores; the most probable, of which the first
    wins, or what the threshold decides."""
    threshold = form.threshold
    if form.scores:
        return list(predicted[:, 0].astype(np.int64).tolist())
    if threshold is None:
        return list(predicted.argmax(axis=1).tolist())
    place = threshold.place
    return list(np.where(predicted[:, place] >= threshold.at, place, 1 - place).tolist())
