"""The one exception family: each error says what, expected, found, and what to do next."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import NamedTuple


class PenstockError(Exception):
    """Something Penstock refuses, said so that the reader knows what to do next.

    `thing` names the field, table, file or setting; `expected` and `found` are short texts;
    `todo` is the next step for the reader. Any of the last three may be empty.
    """

    def __init__(self, thing: str, *, expected: str = "", found: str = "", todo: str = "") -> None:
        self.thing = thing
        self.expected = expected
        self.found = found
        self.todo = todo
        super().__init__(thing, expected, found, todo)

    def __str__(self) -> str:
        text = self.thing
        if self.expected:
            text += f": expected {self.expected}"
        if self.found:
            text += f"{', ' if self.expected else ': '}found {self.found}"
        return f"{text.removesuffix('.')}. {self.todo}" if self.todo else text


class Faults(PenstockError):
    """Several faults that were found together; its text has one sentence for each."""

    def __init__(self, faults: Iterable[PenstockError]) -> None:
        self.faults = tuple(faults)
        between = "\n" if any("\n" in sentence for sentence in self.sentences) else " "
        super().__init__(
            between.join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in self.sentences)
        )

    @property
    def sentences(self) -> list[str]:
        """Each fault once."""
        return list(dict.fromkeys(map(str, self.faults)))


def demand_none(faults: Sequence[PenstockError]) -> None:
    """Raise the fault, or all of them as one error; nothing where there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise Faults(faults)


class NotedFault(NamedTuple):
    """A fault of a declaration, and file and line of each call that led to it, the innermost first."""

    fault: PenstockError
    calls: tuple[tuple[str, int], ...]


_noted: ContextVar[list[NotedFault] | None] = ContextVar("penstock_noted", default=None)


@contextmanager
def noting() -> Iterator[list[NotedFault]]:
    """Within, `demand_declared` notes faults instead of raising them, so that one import finds those of all that a file
    and the files that it imports declare. What was declared with a fault is not to be used afterwards."""
    noted: list[NotedFault] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)


def demand_declared(faults: Sequence[PenstockError]) -> None:
    """As `demand_none`, of a declaration that is there with its faults: within `noting` they are noted."""
    noted = _noted.get()
    if noted is None or not faults:
        return demand_none(faults)
    calls: list[tuple[str, int]] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        calls.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    noted += [NotedFault(fault, tuple(calls)) for fault in faults]
    return None


class ContractError(PenstockError):
    """A request, lookup or feature does not match the declared contract."""


class ArtifactError(PenstockError):
    """A model file is truncated, tampered with, foreign, or of an unknown format version."""


class UnsupportedEstimator(PenstockError):
    """An estimator, or an option of one, that cannot be packed natively."""
