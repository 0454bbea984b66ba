"""What one model is served from at one moment: its release, its loaded artifact, its pointers, its statement."""

from typing import Any

import msgspec
import numpy as np

from model_tools.artifact import Artifact
from model_tools.contract import Contract
from resources.lookup_sql import Pointers
from resources.lookups import LookupStatement


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
        self.classes = class_names(contract, release.artifact)

    def answers(self, predicted: np.ndarray[Any, Any], ids: list[str], missing: list[tuple[str, ...]]) -> list[bytes]:
        """The JSON answers to n new predictions."""
        version, snapshots = self.release.version, msgspec.Raw(self.snapshots)
        if not self.classes:
            return [
                _encode(Answer(id_, value, version, snapshots, lost))
                for id_, value, lost in zip(ids, predicted.tolist(), missing, strict=True)
            ]
        best = predicted.argmax(axis=1).tolist()
        return [
            _encode(Answer(id_, self.classes[top], version, snapshots, lost, dict(zip(self.classes, row, strict=True))))
            for id_, top, row, lost in zip(ids, best, predicted.tolist(), missing, strict=True)
        ]


def class_names(contract: Contract, artifact: Artifact) -> tuple[str, ...]:
    """The names of a classifier's classes in the order of its probabilities; none for a regressor."""
    if contract.output.kind == "regressor":
        return ()
    return contract.output.classes or tuple(str(name) for name in artifact.classes)


def again(answer: bytes) -> bytes:
    """A stored answer as it is given again, with `"unchanged": true`."""
    return answer[: -len("false}")] + b"true}"


_encode = msgspec.json.Encoder().encode
