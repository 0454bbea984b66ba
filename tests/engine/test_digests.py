"""Digests of many rows: BLAKE2b of each row's bits and text, and the values that books already hold."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.digests import digests

# Blocks have 128 bytes: the ends of blocks are where it can go wrong.
sizes = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, 127, 128, 129, 255, 256, 257, 1000]))
texts = st.lists(st.builds(lambda size, byte: bytes([byte]) * size, sizes, st.integers(0, 255)), max_size=11)


def expected(rows: list[bytes], bits: bytes, width: int) -> list[bytes]:
    parts = [bits[at * width : (at + 1) * width] + text for at, text in enumerate(rows)]
    return [blake2b(part, digest_size=16).digest() for part in parts]


@given(rows=texts, width=sizes, seed=st.binary(min_size=1, max_size=7))
def test_every_row_has_the_digest_of_its_bits_and_text(rows: list[bytes], width: int, seed: bytes) -> None:
    bits = (seed * (len(rows) * width + 1))[: len(rows) * width]
    assert digests(rows, bits) == expected(rows, bits, width)
    assert digests(iter(rows), bits) == expected(rows, bits, width)


def test_bits_that_are_not_of_as_many_rows_are_refused() -> None:
    for rows, bits in (([b"a", b"b"], b"123"), ([], b"1")):
        with pytest.raises(ValueError, match=f"{len(bits)} bytes are not of {len(rows)} rows"):
            digests(rows, bits)


def test_the_digests_are_those_that_books_already_hold() -> None:
    """Unchanged requests are found by these bytes, so a journal written before must have the same ones."""
    [text] = digests([b'{"tank":"t9"}'])
    [row] = digests([b'["round"]'], bits=b"\0\0\0\0\0\0\xf0?")
    assert text.hex() == "a74a038c67a4e685261ade39f3191259"
    assert row.hex() == "0312d137822bd8d19321b79e7465fe27"
