"""What requests find in their lookups: columns for the features, JSON rows for the journal, what is missing."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from model_tools.contract import Contract

NOTHING = b"null"

Columns = dict[str, np.ndarray[Any, Any]]


class Part(NamedTuple):
    """What n requests find in one lookup: `lookup.column` arrays, and each one's row as JSON, or NOTHING."""

    columns: Columns
    rows: Sequence[bytes]


class Looked(msgspec.Struct, frozen=True, gc=False):
    """n looked-up requests: `lookup.column` arrays, each request's rows as JSON text, and lookups that found no row."""

    columns: Columns
    rows: list[bytes]
    missing: list[tuple[str, ...]]

    def digests(self) -> list[bytes]:
        """The 16-byte digest of each request's rows."""
        return [hashlib.blake2b(row, digest_size=16).digest() for row in self.rows]


def assembler(contract: Contract) -> Callable[[Mapping[str, Part], int], Looked]:
    """The function that puts the parts of all lookups of a contract, by name, together for n requests."""
    names = tuple(lookup.name for lookup in contract.lookups)
    members = (msgspec.json.encode(name).replace(b"%", b"%%") + b":%b" for name in names)
    template = b"{" + b",".join(members) + b"}"

    def assemble(parts: Mapping[str, Part], count: int) -> Looked:
        columns: Columns = {}
        for name in names:
            columns |= parts[name].columns
        found = list(zip(*(parts[name].rows for name in names), strict=True)) if names else [()] * count
        missing = [
            tuple(name for name, row in zip(names, rows, strict=True) if row == NOTHING) if NOTHING in rows else ()
            for rows in found
        ]
        return Looked(columns, [template % rows for rows in found], missing)

    return assemble


def encode_row(row: dict[str, Any]) -> bytes:
    """A row as JSON, in which infinities, which JSON lacks, are the texts that `float` reads."""
    if np.inf in row.values() or -np.inf in row.values():
        row = {name: str(value) if value in (np.inf, -np.inf) else value for name, value in row.items()}
    return _encode(row)


_encode = msgspec.json.Encoder().encode
