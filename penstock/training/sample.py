"""Sampling training rows: of more than a model declares, those whose keys have the lowest digests."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.snapshots.store import Snapshot

Digests = np.ndarray[Any, np.dtype[np.uint64]]
_GOLDEN = 0x9E3779B97F4A7C15
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""The constants of splitmix64 (Steele, Lea and Flood 2014)."""


@dataclass(frozen=True)
class Sample:
    """A sample of a snapshot: the rows whose key has a digest of at most `highest`, spread over the whole snapshot."""

    key: tuple[str, ...]
    highest: int

    def holds(self, batch: pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """For each of the n rows whether it is in the sample, shape (n,)."""
        return key_digests(batch, self.key) <= np.uint64(self.highest)


def sample_of(snapshot: Snapshot, most: int) -> Sample | None:
    """A sample of `most` rows, None where there are no more. It reads only the key, and holds 2 * `most` digests."""
    if snapshot.rows <= most:
        return None
    lowest: Digests = np.empty(0, np.uint64)
    for batch in snapshot.batches(columns=snapshot.key):
        lowest = np.concatenate([lowest, key_digests(batch, snapshot.key)])
        if len(lowest) > 2 * most:
            lowest = np.partition(lowest, most - 1)[:most]
    return Sample(snapshot.key, int(np.partition(lowest, most - 1)[most - 1]))


def key_digests(batch: pa.RecordBatch, key: tuple[str, ...]) -> Digests:
    """A number per row, shape (n,): a hash of the row's key, evenly spread over 64 bits."""
    made: Digests = np.full(batch.num_rows, _GOLDEN, np.uint64)
    for name in key:
        made = _mixed(made ^ _numbers(batch.column(name)))
    return made


def _numbers(column: pa.Array) -> Digests:
    """The values as 64 bits: whole numbers and times themselves, of any other value the digest of its text."""
    kind = column.type
    if pa.types.is_date32(kind):
        column, kind = column.cast(pa.int32()), pa.int32()
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64).view(np.uint64)
    encoded = column.cast(pa.string()).dictionary_encode()
    texts = [blake2b(text.encode(), digest_size=8).digest() for text in encoded.dictionary.to_pylist()]
    digests = np.frombuffer(b"".join(texts), dtype="<u8").astype(np.uint64)
    return np.asarray(digests[encoded.indices.to_numpy(zero_copy_only=False)])


def _mixed(values: Digests) -> Digests:
    made = values + np.uint64(_GOLDEN)
    for shift, factor in _MIXERS:
        made = (made ^ (made >> np.uint64(shift))) * np.uint64(factor)
    return made ^ (made >> np.uint64(31))
