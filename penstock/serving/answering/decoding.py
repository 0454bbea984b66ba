"""Posted JSON to decoded requests of one contract; what cannot be accepted becomes a problem that names the field."""

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


class Asked(NamedTuple):
    """n questions by column: requests with their `asked_at` filled in, also as JSON, the digests of what was posted and
    of what is asked about, and the id of the HTTP request of each."""

    requests: list[Any]
    asked_at: list[datetime]
    texts: list[bytes]
    inputs: list[bytes]
    entities: list[bytes]
    request_ids: list[str]

    @property
    def size(self) -> int:
        """How many questions these are."""
        return len(self.requests)

    def part(self, first: int, end: int) -> "Asked":
        """Those from `first` up to `end`."""
        return Asked._make(column[first:end] for column in self)

    def at(self, places: Sequence[int]) -> "Asked":
        """Those at some places."""
        return Asked._make([column[place] for place in places] for column in self)


def together(asked: Sequence[Asked]) -> Asked:
    """The questions of all, one after the other."""
    return asked[0] if len(asked) == 1 else Asked._make(list(chain(*columns)) for columns in zip(*asked, strict=True))


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

    def __call__(self, body: bytes, request_id: str) -> tuple[Asked, bool]:
        """The requests of a body, and whether it was an array; Problem (400, 422) for what is no such body."""
        if not body:
            raise Problem(400, "empty-body", "body: expected a JSON object or an array of objects, found nothing")
        many = body.lstrip()[:1] == b"["
        try:
            posted = self._many.decode(body) if many else [self._one.decode(body)]
        except msgspec.ValidationError as error:
            raise invalid(body, error) from None
        except RecursionError:
            raise Problem(400, "invalid-json", "body: expected JSON, found too deep nesting") from None
        except UnicodeDecodeError as error:
            raise Problem(400, "invalid-json", f"body: expected JSON in UTF-8, found {error.reason}") from None
        except (msgspec.DecodeError, ValueError) as error:
            raise Problem(400, "invalid-json", f"body: expected JSON, found: {error}") from None
        return self.asked(posted, request_id, many=many, odd=b"\\u0000" in body), many

    def asked(self, posted: list[Any], request_id: str, *, many: bool, odd: bool = True) -> Asked:
        """Decoded requests as Asked; Problem 422 for values that no database column could hold."""
        for check, of_field, name in self._checks if odd else self._numeric_checks:
            if fault := check(map(of_field, posted)):
                index, expected, found = fault
                raise refused(Fault(f"{f'$[{index}]' if many else '$'}.{name}", expected, found))
        texts = [_encode(request) for request in posted]
        inputs = digests(texts)
        entities = digests(map(_encode, map(self._entity_of, posted))) if self._entity_of else inputs
        times = list(map(self._asked_at_of, posted))
        requests, now = list(posted), self._now()
        same = times[0] is not None and times[0].tzinfo is not None and times.count(times[0]) == len(times)
        for place, asked_at in () if same else enumerate(times):
            if asked_at is None:
                times[place] = now
                requests[place] = msgspec.structs.replace(posted[place], **{self._contract.asked_at: now})
                texts[place] = _encode(requests[place])
            elif asked_at.tzinfo is None:
                times[place] = asked_at.replace(tzinfo=UTC)
        return Asked(requests, times, texts, inputs, entities, [request_id] * len(posted))


def _text(values: Iterable[str | None]) -> tuple[int, str, str] | None:
    """The first that no column holds: its place, what was expected and what was found."""
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
    """What gives the declared fields that say what is asked about; None where they all do."""
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
