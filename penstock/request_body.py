"""Requests as the JSON that a client posts."""

import math
from decimal import Decimal
from typing import Any

import msgspec

from penstock.errors import PenstockError


def encoded(body: Any) -> bytes:
    """One request, or a list of them, as JSON; PenstockError that names the fields with an infinity, which has none.

    Scalars of numpy and pandas are taken, and finite decimals, as numbers. NaN, NaT and NA are null.
    """
    made = _ENCODER.encode(body)
    if any(word in made for word in (b"null", b"NaN", b"Infinity")):
        _demand_finite(body if isinstance(body, list) else [body])
    return made


def _demand_finite(requests: list[Any]) -> None:
    for row, request in enumerate(requests):
        fields = msgspec.structs.asdict(request) if isinstance(request, msgspec.Struct) else request
        found = (
            [(name, value) for name, value in fields.items() if _is_infinite(value)] if isinstance(fields, dict) else []
        )
        if found:
            raise PenstockError(
                f"row {row} of the requests" if len(requests) > 1 else "request",
                expected="finite numbers, or None where there is none",
                found=", ".join(f"{name}: {value}" for name, value in found),
            )


def _is_infinite(value: Any) -> bool:
    if isinstance(value, Decimal):
        return not value.is_finite()
    try:
        return math.isinf(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _plain(value: Any) -> Any:
    """A scalar of numpy or pandas, neither of which is imported for it, as Python has it; TypeError for anything else.

    Times are cut to microseconds, of which requests are made.
    """
    kind = type(value).__name__
    if kind in {"NAType", "NaTType"}:
        return None
    if kind == "Timestamp":
        return value.to_pydatetime(warn=False)
    if kind == "datetime64" and value.dtype != "datetime64[D]":
        value = value.astype("datetime64[us]")
    if getattr(value, "shape", None) != ():
        raise TypeError(f"a request holds {kind}, which is no JSON value")
    plain = value.item()
    return float(plain) if type(plain) is type(value) else plain


_ENCODER = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number")
