"""The one exception family: each error says what, expected, found, and what to do next."""

from collections.abc import Iterable, Sequence


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
        super().__init__(
            " ".join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in self.sentences)
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


class ContractError(PenstockError):
    """A request, lookup or feature does not match the declared contract."""


class ArtifactError(PenstockError):
    """A model file is truncated, tampered with, foreign, or of an unknown format version."""


class UnsupportedEstimator(PenstockError):
    """An estimator, or an option of one, that cannot be packed natively."""
