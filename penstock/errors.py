"""The one exception family: each error says what, expected, found, and what to do next."""


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
        return f"{text}. {self.todo}" if self.todo else text


class ContractError(PenstockError):
    """A request, lookup or feature does not match the declared contract."""


class ArtifactError(PenstockError):
    """A model file is truncated, tampered with, foreign, or of an unknown format version."""


class UnsupportedEstimator(PenstockError):
    """An estimator, or an option of one, that cannot be packed natively."""
