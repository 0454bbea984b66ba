"""What goes wrong over HTTP, as RFC 9457 problem documents that name field, expected and found."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

FOUND_LENGTH = 80
MOST_FAULTS = 1000
"""So many faults of one body are listed."""
SAID = 10
"""So many of them are also said in the problem's detail."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong in a request: the field as a JSON path, what was expected there and what was found.

    `feature` is the model's input that cannot be accepted, where it is not the field itself.
    """

    field: str
    expected: str
    found: str = ""
    feature: str = ""

    def __str__(self) -> str:
        feature = f", feature {self.feature!r}" if self.feature else ""
        return f"{self.field}{feature}: expected {self.expected}" + (f", found {self.found}" if self.found else "")


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer of status 4xx and 5xx."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    faults: tuple[Fault, ...] = ()


class Problem(Exception):
    """An answer of status 4xx or 5xx; `slug` is the problem's stable name."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.faults = faults
        self.headers = headers

    def body(self, request_id: str) -> bytes:
        """The problem document as JSON."""
        title = HTTPStatus(self.status).phrase
        kind = f"urn:penstock:problem:{self.slug}"
        return msgspec.json.encode(ProblemDocument(kind, title, self.status, self.detail, request_id, self.faults))


def unavailable(slug: str, detail: str, retry_after: int = 1) -> Problem:
    """A 503 that says when to come again."""
    return Problem(503, slug, detail, headers=((b"retry-after", str(retry_after).encode()),))


def no_json(error: Exception) -> Problem:
    """The 400 of a body that is no JSON, from what the decoder raised."""
    if isinstance(error, RecursionError):
        return Problem(400, "invalid-json", "body: expected JSON, found too deep nesting")
    if isinstance(error, UnicodeDecodeError):
        return Problem(400, "invalid-json", f"body: expected JSON in UTF-8, found {error.reason}")
    return Problem(400, "invalid-json", f"body: expected JSON, found: {error}")


def invalid(body: bytes, error: msgspec.ValidationError) -> Problem:
    """The 422 of a JSON document of another shape, with the decoder's own words; the 400 of one that is none behind
    the place where the decoder stopped."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as broken:
        return no_json(broken)
    text, _, path = str(error).partition(" - at `")
    expected, _, found = text.removeprefix("Expected ").partition(", got ")
    path = path.rstrip("`") or "$"
    return refused(Fault(path, expected.replace("`", ""), found.replace("`", "") or shown(_at(body, path))))


def refused(*faults: Fault) -> Problem:
    """The 422 of requests whose fields cannot be accepted."""
    more = ""
    if len(faults) > SAID:
        more = f"; and {'more than ' * (len(faults) > MOST_FAULTS)}{min(len(faults), MOST_FAULTS) - SAID} more"
    detail = "; ".join(map(str, faults[:SAID])) + more
    return Problem(422, "invalid-request", detail, faults=faults[:MOST_FAULTS])


def shown(value: Any) -> str:
    """A value as short JSON, empty for what cannot be told."""
    if value is None:
        return ""
    text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= FOUND_LENGTH else text[:FOUND_LENGTH] + "…"


def _at(body: bytes, path: str) -> Any:
    """What the document holds at a JSON path, None where it cannot be told."""
    try:
        value = msgspec.json.decode(body)
        for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
            value = value[name] if name else value[int(index)]
        return value
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
