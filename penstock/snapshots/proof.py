"""Proving that the stored files of a snapshot have the content of its id."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from penstock.rows.copy_stream import CopyEncoder, slices
from penstock.rows.merge import merged
from penstock.rows.types import postgres_columns, schema_text
from penstock.snapshots.snapshot import Snapshot, SnapshotError

_READ = 1 << 20


class Proof:
    """Streams all rows of a snapshot as the chunks of a binary COPY, and compares their digest with the snapshot's id.

    `encoder` has the digest at the end.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.encoder = CopyEncoder(snapshot.schema)
        self._snapshot = snapshot

    def chunks(self, report: Callable[[int], None] | None = None) -> Iterator[bytes]:
        """The chunks; SnapshotError at the end where a stored file was changed.

        `report` is called with the number of rows that were read so far.
        """
        snapshot = self._snapshot
        if snapshot.base is None:
            yield from self.encoder.chunks(_counted(snapshot.batches(), report))
            _check(snapshot, self.encoder)
        else:
            rows = merged(_proven(snapshot.base), _proven(snapshot.own), snapshot.key)
            yield from self.encoder.chunks(_counted(rows, report))

    def run(self) -> "Proof":
        """Read everything."""
        for _ in self.chunks():
            pass
        return self


def check_file(snapshot: Snapshot) -> bool:
    """Whether the snapshot's own file has the SHA-256 of its manifest; False where an old manifest has none.

    This is ten times faster than proving the rows.
    """
    (path,) = snapshot.paths
    found = hashlib.sha256()
    with snapshot.filesystem.open(path, "rb") as handle:
        while piece := handle.read(_READ):
            found.update(piece)
    return found.hexdigest() == snapshot.manifest.file_sha256


def _counted(batches: Iterable[pa.RecordBatch], report: Callable[[int], None] | None) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        if report is not None:
            report(done)


def _proven(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    encoder = CopyEncoder(snapshot.schema)
    encoder.header()
    for batch in snapshot.batches():
        for piece in slices(batch):
            encoder.rows(piece)
        yield batch
    encoder.end()
    _check(snapshot, encoder)


def _check(snapshot: Snapshot, encoder: CopyEncoder) -> None:
    schema = schema_text(postgres_columns(snapshot.schema), snapshot.key)
    found = encoder.digest.id(schema, snapshot.manifest.base)
    if found != snapshot.id:
        raise SnapshotError(
            f"snapshot {snapshot.id[:12]} of table {snapshot.name!r} in the store",
            expected=f"content with digest {snapshot.id}",
            found=found,
            todo="The stored file was changed. Remove it from the store and extract the table again; nothing was "
            "changed in the books.",
        )
