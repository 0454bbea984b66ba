"""What one model is served from at one moment: its release, its loaded artifact, its pointers, its statement."""

from typing import Any

import msgspec
import numpy as np

from model_tools.artifact import Artifact
from model_tools.contract import Contract
from resources.lookup_sql import Pointers
from resources.lookups import LookupStatement
from resources.outcomes import class_names, outcomes


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One answer over HTTP, and what is stored of it. `unchanged` is last, see `again`."""

    id: str
    prediction: str | float | None
    release: int
    snapshots: msgspec.Raw
    missing: tuple[str, ...]
    probabilities: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    unchanged: bool = False


class Release(msgspec.Struct, frozen=True):
    """A row of `app.current_release` with its loaded artifact."""

    model: str
    entry: int
    version: int
    digest: str
    artifact: Artifact


class Serving:
    """An immutable whole: the model's release and its lookup statement against the pointers of one moment."""

    def __init__(self, contract: Contract, release: Release, pointers: Pointers) -> None:
        self.contract = contract
        self.release = release
        self.pointers = pointers
        self.statement = LookupStatement(contract, pointers, previous=True)
        self.snapshots = msgspec.json.encode(self.statement.snapshots)
        self._classes = class_names(contract, release.artifact)

    def answers(self, predicted: np.ndarray[Any, Any], ids: list[str], missing: list[tuple[str, ...]]) -> list[bytes]:
        """The JSON answers to n new predictions."""
        version, snapshots = self.release.version, msgspec.Raw(self.snapshots)
        return [
            _encode(Answer(id_, prediction, version, snapshots, lost, probabilities or msgspec.UNSET))
            for id_, (prediction, probabilities), lost in zip(
                ids, outcomes(self._classes, predicted), missing, strict=True
            )
        ]


def again(answer: bytes) -> bytes:
    """A stored answer as it is given again, with `"unchanged": true`."""
    return answer[: -len("false}")] + b"true}"


_encode = msgspec.json.Encoder().encode
