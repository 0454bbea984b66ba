"""Digests of many rows at once: 16 bytes of BLAKE2b each."""

from collections.abc import Iterable
from hashlib import blake2b

SIZE = 16


def digests(texts: Iterable[bytes], bits: bytes = b"") -> list[bytes]:
    """The digests of n rows: of each row's `bits`, which have the same length for all, followed by the row's text.

    ValueError where the length of `bits` is no multiple of n.
    """
    if not bits:
        return [blake2b(text, digest_size=SIZE).digest() for text in texts]
    rows = list(texts)
    width, rest = divmod(len(bits), len(rows) or len(bits) + 1)
    if rest:
        raise ValueError(f"{len(bits)} bytes are not of {len(rows)} rows")
    return [
        blake2b(bits[at * width : (at + 1) * width] + text, digest_size=SIZE).digest() for at, text in enumerate(rows)
    ]
