"""Decodes posted JSON to requests of one contract; what cannot be accepted is a Problem that names the field."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec

from penstock.contract.contract import Contract
from penstock.contract.request_types import plain_types
from penstock.digests import digests
from penstock.serving.http.problems import Fault, Problem, invalid, refused

MOST_REQUESTS = 10_000
LARGEST_INTEGER = 2**63


class Requests(NamedTuple):
    """n requests by column.

    - `decoded`: the requests with their `asked_at` filled in; `texts`: the same as JSON.
    - `inputs`: digests of what was posted, that is before `asked_at` was filled in.
    - `entities`: digests of the fields that say what the request is about.
    - `request_ids`: the id of the HTTP request that each came with.
    """

    decoded: list[Any]
    asked_at: list[datetime]
    texts: list[bytes]
    inputs: list[bytes]
    entities: list[bytes]
    request_ids: list[str]

    @property
    def size(self) -> int:
        """The number of requests."""
        return len(self.decoded)

    def part(self, first: int, end: int) -> "Requests":
        """The requests from `first` up to `end`."""
        return Requests._make(column[first:end] for column in self)

    def at(self, places: Sequence[int]) -> "Requests":
        """The requests at some places."""
        return Requests._make([column[place] for place in places] for column in self)


def concatenated(parts: Sequence[Requests]) -> Requests:
    """The requests of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Requests._make(list(chain(*columns)) for columns in zip(*parts, strict=True))


class Body(NamedTuple):
    """A decoded body: its requests, and whether they came as an array."""

    requests: Requests
    is_array: bool


class Decoder:
    """Decodes the body of a predict request: one object, or an array of 1 to 10,000."""

    def __init__(self, contract: Contract, now: Callable[[], datetime]) -> None:
        self._contract = contract
        self._now = now
        self._one = msgspec.json.Decoder(contract.request)
        limits = msgspec.Meta(min_length=1, max_length=MOST_REQUESTS)
        self._many = msgspec.json.Decoder(Annotated[list[contract.request], limits])  # type: ignore[name-defined] # run-time type
        texts, integers, times = _fields_to_check(contract)
        numeric = ((_integer, integers), (_time, times))
        self._numeric_checks = [(check, attrgetter(name), name) for check, names in numeric for name in names]
        self._checks = [*((_text, attrgetter(name), name) for name in texts), *self._numeric_checks]
        self._entity_of = _fields_of_entity(contract)
        self._asked_at_of = attrgetter(contract.asked_at)

    def __call__(self, body: bytes, request_id: str) -> Body:
        """Decode a body; Problem 400 if it is no JSON, 422 if it is not what the contract declares."""
        if not body:
            raise Problem(400, "empty-body", "body: expected a JSON object or an array of objects, found nothing")
        is_array = body.lstrip()[:1] == b"["
        try:
            posted = self._many.decode(body) if is_array else [self._one.decode(body)]
        except msgspec.ValidationError as error:
            raise invalid(body, error) from None
        except RecursionError:
            raise Problem(400, "invalid-json", "body: expected JSON, found too deep nesting") from None
        except UnicodeDecodeError as error:
            raise Problem(400, "invalid-json", f"body: expected JSON in UTF-8, found {error.reason}") from None
        except (msgspec.DecodeError, ValueError) as error:
            raise Problem(400, "invalid-json", f"body: expected JSON, found: {error}") from None
        # Only the escape \\u0000 can put a U+0000 into a text.
        return Body(self.requests(posted, request_id, is_array=is_array, check_texts=b"\\u0000" in body), is_array)

    def requests(self, posted: list[Any], request_id: str, *, is_array: bool, check_texts: bool = True) -> Requests:
        """Decoded requests as Requests; Problem 422 for values that no database column could hold."""
        for check, of_field, name in self._checks if check_texts else self._numeric_checks:
            if fault := check(map(of_field, posted)):
                index, expected, found = fault
                raise refused(Fault(f"{f'$[{index}]' if is_array else '$'}.{name}", expected, found))
        texts = [_encode(request) for request in posted]
        inputs = digests(texts)
        entities = digests(map(_encode, map(self._entity_of, posted))) if self._entity_of else inputs
        times = list(map(self._asked_at_of, posted))
        decoded, now = list(posted), self._now()
        same = times[0] is not None and times[0].tzinfo is not None and times.count(times[0]) == len(times)
        for place, asked_at in () if same else enumerate(times):
            if asked_at is None:
                times[place] = now
                decoded[place] = msgspec.structs.replace(posted[place], **{self._contract.asked_at: now})
                texts[place] = _encode(decoded[place])
            elif asked_at.tzinfo is None:
                times[place] = asked_at.replace(tzinfo=UTC)
        return Requests(decoded, times, texts, inputs, entities, [request_id] * len(posted))


def _text(values: Iterable[str | None]) -> tuple[int, str, str] | None:
    """The first value that no database column holds: its place, what was expected and what was found."""
    for place, value in enumerate(values):
        if value is not None and "\0" in value:
            return place, "text without the character U+0000", "it"
    return None


def _integer(values: Iterable[int | None]) -> tuple[int, str, str] | None:
    for place, value in enumerate(values):
        if value is not None and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            return place, "an integer of 64 bits", f"{len(str(value))} digits"
    return None


def _time(values: Iterable[date | None]) -> tuple[int, str, str] | None:
    for place, value in enumerate(values):
        if value is not None and not 1 < value.year < 9999:
            return place, "a year from 2 to 9998", str(value.year)
    return None


def _fields_of_entity(contract: Contract) -> Callable[[Any], Any] | None:
    """The function that returns a request's entity fields; None if these are all of its fields."""
    if len(contract.entity) == 1:
        return lambda request: (getattr(request, contract.entity[0]),)
    return attrgetter(*contract.entity) if contract.entity else None


def _fields_to_check(contract: Contract) -> tuple[list[str], list[str], list[str]]:
    """The text fields, the integer fields without both bounds, and the time fields of a contract's request."""
    texts, integers, times = [], [], []
    for field in msgspec.structs.fields(contract.request):
        for member in plain_types(field.type):
            if isinstance(member, msgspec.inspect.StrType):
                texts.append(field.name)
            elif isinstance(member, msgspec.inspect.IntType):
                low = member.ge if member.ge is not None else member.gt
                high = member.le if member.le is not None else member.lt
                if low is None or high is None:
                    integers.append(field.name)
            elif isinstance(member, msgspec.inspect.DateTimeType | msgspec.inspect.DateType):
                times.append(field.name)
    return texts, integers, times


_encode = msgspec.json.Encoder().encode
