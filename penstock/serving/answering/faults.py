"""Everything that is wrong with a posted body: worked out only after the fast decoding has refused it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from penstock.contract.contract import Contract
from penstock.contract.field_words import field_words
from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR, TIMES, choices, plain_types
from penstock.serving.http.problems import MOST_FAULTS, Fault, shown

MOST_REQUESTS = 10_000
LARGEST_INTEGER = 2**63
EXACT = 2**53
"""Beyond it a number with a fraction or exponent may stand for several whole ones."""
IN_DIGITS = "beyond 2^53 in digits alone"
SPARE_FIELDS = 20
"""Unknown fields that each request of an array may have on average. A body with more commas than that is not searched
for faults."""


class Faults:
    """Finds what is wrong with requests of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._request = contract.request
        self._fields = {field.encode_name: field for field in msgspec.structs.fields(contract.request)}
        self._decoders = {name: msgspec.json.Decoder(field.type) for name, field in self._fields.items()}
        self._words = {name: field_words(field.type) for name, field in self._fields.items()}
        self._whole = msgspec.json.Decoder(contract.request)
        self._large = {name for name, field in self._fields.items() if is_large(field.type)}
        self._limits = {name: _limits(field.type) for name, field in self._fields.items()}

    def of_body(self, body: bytes, *, is_array: bool) -> list[Fault]:
        """The faults of a JSON body; none if it cannot be taken apart."""
        if is_array and body.count(b",") > MOST_REQUESTS * (len(self._fields) + SPARE_FIELDS):
            return []
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw]) if is_array else [msgspec.Raw(body)]
            if not 1 <= len(rows) <= MOST_REQUESTS:
                return [Fault("$", f"an array of 1 to {MOST_REQUESTS} requests", str(len(rows)))]
            return self._of_rows(rows, is_array=is_array)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return []

    def of_requests(self, posted: Sequence[Any], *, is_array: bool) -> list[Fault]:
        """The values of decoded requests that no database column could hold."""
        return _first(
            fault
            for path, request in _paths(posted, is_array=is_array)
            for name, field in self._fields.items()
            if (fault := self._limit(f"{path}.{name}", name, getattr(request, field.name)))
        )

    def _of_rows(self, rows: Sequence[msgspec.Raw], *, is_array: bool) -> list[Fault]:
        return _first(fault for path, row in _paths(rows, is_array=is_array) for fault in self._of_row(path, row))

    def _of_row(self, path: str, row: msgspec.Raw) -> Iterator[Fault]:
        found = list(self._of_fields(path, row))
        yield from found
        if not found:  # what a field alone does not show, such as a check of the Struct's own
            try:
                self._whole.decode(row)
            except msgspec.ValidationError as error:
                yield Fault(path, str(error).partition(" - at `")[0].replace("`", ""), shown(row))

    def _of_fields(self, path: str, row: msgspec.Raw) -> Iterator[Fault]:
        try:
            values: Mapping[str, msgspec.Raw] = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            yield Fault(path, "an object", shown(row))
            return
        for name, raw in values.items():
            if name not in self._fields:
                yield Fault(f"{path}.{name}", "no such field", shown(raw))
        for name, field in self._fields.items():
            where = f"{path}.{name}"
            if name in values:
                try:
                    value = self._decoders[name].decode(values[name])
                except msgspec.ValidationError:
                    yield Fault(where, self._words[name] + self._written(name, raw := values[name]), shown(raw))
                else:
                    if fault := self._limit(where, name, value):
                        yield fault
            elif field.required:
                yield Fault(where, self._words[name], "nothing")

    def _written(self, name: str, raw: msgspec.Raw) -> str:
        """How a whole number is to be written that is too large for a fraction or an exponent."""
        digits = bytes(raw).lstrip(b"-")
        beyond = name in self._large and digits[:1].isdigit() and not digits.isdigit() and float(digits) > EXACT
        return f", {IN_DIGITS}" if beyond and float(digits) < LARGEST_INTEGER else ""

    def _limit(self, where: str, name: str, value: Any) -> Fault | None:
        """The fault of a value that its type allows and no database column holds."""
        for kind in self._limits[name] if value is not None else ():
            if kind == "text" and "\0" in value:
                return Fault(where, "text without the character U+0000", shown(value))
            if kind == "integer" and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
                return Fault(where, "a whole number of 64 bits", f"{len(str(abs(value)))} digits")
            if kind == "time" and not FIRST_YEAR <= value.year <= LAST_YEAR:
                return Fault(where, f"a year from {FIRST_YEAR} to {LAST_YEAR}", shown(value))
        return None


def fields_to_check(contract: Contract) -> dict[str, list[str]]:
    """What can be beyond a database column to the fields where it can: `text`, `integer`, `time`."""
    found: dict[str, list[str]] = {"text": [], "integer": [], "time": []}
    for field in msgspec.structs.fields(contract.request):
        for kind in _limits(field.type):
            found[kind].append(field.name)
    return found


def whole_fields(contract: Contract) -> frozenset[str]:
    """The fields that take whole numbers, or a choice among some, and no others, by their names in JSON."""
    found = []
    for field in msgspec.structs.fields(contract.request):
        kinds = plain_types(field.type)
        if any(map(_is_whole, kinds)) and not any(isinstance(kind, inspect.FloatType) for kind in kinds):
            found.append(field.encode_name)
    return frozenset(found)


def is_large(annotation: Any) -> bool:
    """Whether a field takes whole numbers beyond 2^53, and no others."""
    kinds = plain_types(annotation)
    whole = [kind for kind in kinds if isinstance(kind, inspect.IntType)]
    return not any(isinstance(kind, inspect.FloatType) for kind in kinds) and any(
        (low := kind.ge if kind.ge is not None else kind.gt) is None
        or (high := kind.le if kind.le is not None else kind.lt) is None
        or max(-low, high) > EXACT
        for kind in whole
    )


def _is_whole(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.EnumType | inspect.LiteralType):
        return any(isinstance(choice, int) for choice in choices(kind))
    return isinstance(kind, inspect.IntType)


def _limits(annotation: Any) -> tuple[str, ...]:
    """What a value of this type can be beyond: the text, the integer without both bounds, the time."""
    kinds: dict[str, None] = {}
    for member in plain_types(annotation):
        if isinstance(member, inspect.StrType):
            kinds["text"] = None
        elif isinstance(member, TIMES):
            kinds["time"] = None
        elif isinstance(member, inspect.IntType):
            low = member.ge if member.ge is not None else member.gt
            high = member.le if member.le is not None else member.lt
            if low is None or high is None:
                kinds["integer"] = None
    return tuple(kinds)


def _paths(rows: Sequence[Any], *, is_array: bool) -> Iterator[tuple[str, Any]]:
    """Each row with its JSON path."""
    return ((f"$[{at}]" if is_array else "$", row) for at, row in enumerate(rows))


def _first(faults: Iterable[Fault]) -> list[Fault]:
    """As many as are told, and one more by which one sees that these are not all."""
    return [fault for _, fault in zip(range(MOST_FAULTS + 1), faults, strict=False)]
