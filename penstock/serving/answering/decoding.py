"""Decodes posted JSON to requests of one contract; what cannot be accepted is a Problem that names the field."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from penstock.contract.contract import Contract
from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR
from penstock.digests import digests
from penstock.lookups.sql import bound_types
from penstock.serving.answering.faults import (
    EXACT,
    LARGEST_INTEGER,
    MOST_REQUESTS,
    Faults,
    fields_to_check,
    whole_fields,
)
from penstock.serving.http.problems import Problem, invalid, no_json, refused


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
        self._faults = Faults(contract)
        self._whole = whole_fields(contract)
        wanted = fields_to_check(contract)
        numeric = ((_integers_fit, wanted["integer"]), (_times_fit, wanted["time"]))
        self._numeric_checks = [(check, attrgetter(name)) for check, names in numeric for name in names]
        self._checks = [*((_texts_fit, attrgetter(name)) for name in wanted["text"]), *self._numeric_checks]
        self._entity_of = _fields_of_entity(contract)
        self._asked_at_bound = bound_types(contract)[contract.asked_at]
        self._asked_at_of = attrgetter(contract.asked_at)
        self._zone = UTC if contract.zone == "UTC" else ZoneInfo(contract.zone)
        self._zoneless = contract.zoneless_fields()

    def __call__(self, body: bytes, request_id: str) -> Body:
        """Decode a body; Problem 400 if it is no JSON, 422 if it is not what the contract declares."""
        if not body:
            raise Problem(400, "empty-body", "body: expected a JSON object or an array of objects, found nothing")
        is_array = body.lstrip()[:1] == b"["
        try:
            posted = self._posted(body, is_array=is_array)
        except msgspec.ValidationError as error:
            raise self.problem(body, error, is_array=is_array) from None
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise no_json(error) from None
        # Only the escape \\u0000 can put a U+0000 into a text.
        return Body(self.requests(posted, request_id, is_array=is_array, check_texts=b"\\u0000" in body), is_array)

    def _posted(self, body: bytes, *, is_array: bool) -> list[Any]:
        """The decoded requests, if need be of the body as it was meant."""
        try:
            return self._many.decode(body) if is_array else [self._one.decode(body)]
        except msgspec.ValidationError:
            kept = self._meant(body, is_array=is_array)
            if kept is body:
                raise
            return self._many.decode(kept) if is_array else [self._one.decode(kept)]

    def _meant(self, body: bytes, *, is_array: bool) -> bytes:
        """The body without the fields that the contract has retired, and with 123 for the whole number 123.0."""
        body = without(self._contract.retired, body, is_array=is_array)
        return with_whole(self._whole, body, is_array=is_array)

    def _as_field(self, now: datetime) -> datetime | date:
        """The present as the request's `asked_at` has it: a day or a time of the contract's zone, or an instant."""
        if self._asked_at_bound == "date":
            return now.astimezone(self._zone).date()
        return now.astimezone(self._zone).replace(tzinfo=None) if self._asked_at_bound == "timestamp" else now

    def _in_zone(self, request: Any) -> Any:
        """The request with an offset for each time that has none."""
        times = {name: getattr(request, name) for name in self._zoneless}
        read = {name: self._instant(at) for name, at in times.items() if at is not None and at.tzinfo is None}
        return msgspec.structs.replace(request, **read) if read else request

    def _instant(self, wall_clock: datetime) -> datetime:
        return wall_clock.replace(tzinfo=self._zone).astimezone(UTC)

    def problem(self, body: bytes, error: msgspec.ValidationError, *, is_array: bool) -> Problem:
        """The 422 of a JSON body that `error` refused, with everything that is wrong with it."""
        body = self._meant(body, is_array=is_array)
        faults = self._faults.of_body(body, is_array=is_array)
        return refused(*faults) if faults else invalid(body, error)

    def requests(self, posted: list[Any], request_id: str, *, is_array: bool, check_texts: bool = True) -> Requests:
        """Decoded requests as Requests; Problem 422 for values that no database column could hold."""
        for fit, of_field in self._checks if check_texts else self._numeric_checks:
            if not fit(map(of_field, posted)):
                raise refused(*self._faults.of_requests(posted, is_array=is_array))
        if self._zoneless:
            posted = list(map(self._in_zone, posted))
        texts = [_encode(request) for request in posted]
        inputs = digests(texts)
        entities = digests(map(_encode, map(self._entity_of, posted))) if self._entity_of else inputs
        times = list(map(self._asked_at_of, posted))
        if self._asked_at_bound == "date":
            times = [day and datetime(day.year, day.month, day.day) for day in times]
        decoded, now = list(posted), self._now()
        same = times[0] is not None and times[0].tzinfo is not None and times.count(times[0]) == len(times)
        for place, asked_at in () if same else enumerate(times):
            if asked_at is None:
                filled = self._as_field(now)
                times[place] = filled if self._asked_at_bound == "timestamptz" else now
                decoded[place] = msgspec.structs.replace(posted[place], **{self._contract.asked_at: filled})
                texts[place] = _encode(decoded[place])
            elif asked_at.tzinfo is None:
                times[place] = self._instant(asked_at)
        return Requests(decoded, times, texts, inputs, entities, [request_id] * len(posted))


def without(fields: Sequence[str], body: bytes, *, is_array: bool) -> bytes:
    """A JSON body without some fields of its requests; the body itself where it has none of them, or is none."""
    if not any(f'"{name}"'.encode() in body for name in fields):
        return body
    try:
        requests = _MANY.decode(body) if is_array else [_ONE.decode(body)]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body
    for request in requests:
        for name in fields:
            request.pop(name, None)
    return msgspec.json.encode(requests if is_array else requests[0])


def with_whole(fields: frozenset[str], body: bytes, *, is_array: bool) -> bytes:
    """A JSON body with 123 for each 123.0 in these fields of its requests; the body itself where it has none."""
    try:
        rows = _ROWS.decode(body) if is_array else [msgspec.Raw(body)]
        meant = [_with_whole(fields, row) for row in rows]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return body
    if all(kept is row for kept, row in zip(meant, rows, strict=True)):
        return body
    return msgspec.json.encode(meant if is_array else meant[0])


def _with_whole(fields: frozenset[str], row: msgspec.Raw) -> msgspec.Raw | dict[str, msgspec.Raw]:
    """One request so; the same where it has none of them, or is no object."""
    try:
        request = _ONE.decode(row)
    except msgspec.ValidationError:
        return row
    found = {name: whole for name in fields & request.keys() if (whole := _whole(bytes(request[name])))}
    return request | {name: msgspec.Raw(whole) for name, whole in found.items()} if found else row


def _whole(raw: bytes) -> bytes:
    """The digits of a whole number that is written with a fraction or an exponent; empty for anything else."""
    digits = raw.lstrip(b"-")
    if not digits[:1].isdigit() or digits.isdigit():
        return b""
    number = float(raw)
    return b"%d" % int(number) if number.is_integer() and abs(number) <= EXACT else b""


# Loops, because a generator costs every single request more than its values.
def _texts_fit(values: Iterable[str | None]) -> bool:
    for value in values:  # noqa: SIM110
        if value is not None and "\0" in value:
            return False
    return True


def _integers_fit(values: Iterable[int | None]) -> bool:
    for value in values:  # noqa: SIM110
        if value is not None and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            return False
    return True


def _times_fit(values: Iterable[date | None]) -> bool:
    for value in values:  # noqa: SIM110
        if value is not None and not FIRST_YEAR <= value.year <= LAST_YEAR:
            return False
    return True


def _fields_of_entity(contract: Contract) -> Callable[[Any], Any] | None:
    """The function that returns a request's entity fields; None if these are all of its fields."""
    if len(contract.entity) == 1:
        return lambda request: (getattr(request, contract.entity[0]),)
    return attrgetter(*contract.entity) if contract.entity else None


_encode = msgspec.json.Encoder().encode
_ONE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_MANY = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
