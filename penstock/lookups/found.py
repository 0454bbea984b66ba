"""What requests find in their lookups: columns for the features, JSON rows for the journal, what is missing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from penstock.contract.contract import Contract
from penstock.digests import digests

NOTHING = b"null"

Columns = dict[str, np.ndarray[Any, Any]]


class Part(NamedTuple):
    """What n requests find in one lookup: `lookup.column` arrays, each one's row as a JSON `member`, and the
    places of those that found no row."""

    columns: Columns
    rows: Sequence[bytes]
    lost: Sequence[int]


class Looked(msgspec.Struct, frozen=True, gc=False):
    """n looked-up requests: `lookup.column` arrays, each request's rows as JSON text, and lookups that found no row."""

    columns: Columns
    rows: list[bytes]
    missing: list[tuple[str, ...]]

    def digests(self) -> list[bytes]:
        """The 16-byte digest of each request's rows."""
        return digests(self.rows)


def assembler(contract: Contract) -> Callable[[Mapping[str, Part], int], Looked]:
    """The function that puts the parts of all lookups of a contract, by name, together for n requests."""
    names = tuple(lookup.name for lookup in contract.lookups)

    def assemble(parts: Mapping[str, Part], count: int) -> Looked:
        columns: Columns = {}
        for name in names:
            columns |= parts[name].columns
        found = list(zip(*(parts[name].rows for name in names), strict=True)) if names else [()] * count
        missing: list[tuple[str, ...]] = [()] * count
        for name in names:
            for place in parts[name].lost:
                missing[place] += (name,)
        return Looked(columns, [b"{%b}" % b",".join(rows) for rows in found], missing)

    return assemble


def member(lookup: str, row: bytes) -> bytes:
    """A lookup's row, or NOTHING, as the member of a JSON object."""
    return b"%b:%b" % (_encode(lookup), row)


def encode_row(row: dict[str, Any]) -> bytes:
    """A row as JSON, in which infinities, which JSON lacks, are the texts that `float` reads."""
    if np.inf in row.values() or -np.inf in row.values():
        row = {name: str(value) if value in (np.inf, -np.inf) else value for name, value in row.items()}
    return _encode(row)


_encode = msgspec.json.Encoder().encode
