"""Digests of many rows at once: 16 bytes of BLAKE2b each, four side by side in C where a compiler was there."""

from collections.abc import Iterable
from hashlib import blake2b

try:
    from model_tools import _digests
except ImportError:
    _digests = None  # type: ignore[assignment]  # no compiler was there

SIZE = 16


def digests(texts: Iterable[bytes], bits: bytes = b"") -> list[bytes]:
    """The digests of n rows: of each one's `bits`, of which all have as many bytes, followed by its text.

    ValueError where `bits` are not of n rows.
    """
    rows = list(texts)
    return in_python(rows, bits) if _digests is None else _digests.digests(rows, bits)


def in_python(texts: list[bytes], bits: bytes = b"") -> list[bytes]:
    """The same by hashlib."""
    if not bits:
        return [blake2b(text, digest_size=SIZE).digest() for text in texts]
    width, rest = divmod(len(bits), len(texts) or len(bits) + 1)
    if rest:
        raise ValueError(f"{len(bits)} bytes are not of {len(texts)} rows")
    return [
        blake2b(bits[at * width : (at + 1) * width] + text, digest_size=SIZE).digest() for at, text in enumerate(texts)
    ]
