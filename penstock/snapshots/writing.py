"""Writing the rows of one snapshot, and removing the drafts of writers that died."""

import hashlib
import os
import posixpath
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from types import TracebackType
from typing import IO, Self

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from penstock.rows.conform import Conformer
from penstock.rows.copy_stream import CopyEncoder, StreamDigest, slices
from penstock.rows.types import postgres_columns, schema_text
from penstock.snapshots.writer import is_dead, writer
from penstock.store_url import age

ROW_GROUP_BYTES = 16 << 20
CHECKED_BYTES = 8 << 20
"""Arrow bytes that are checked at once, so that pandera's cost per call is spread over many rows."""
ABANDONED_AFTER = timedelta(days=1)
_DRAFTS = "drafts"


class SnapshotFile:
    """One Parquet file in the store's drafts, hashed while it is written. Leaving the context removes it unless it was
    moved."""

    def __init__(
        self,
        filesystem: fsspec.AbstractFileSystem,
        root: str,
        table: str,
        *,
        schema: pa.Schema,
        key: tuple[str, ...],
        check: Callable[[pa.RecordBatch], None] | None,
    ) -> None:
        self._fs = filesystem
        self._schema = schema
        self._key = key
        self._check = check
        self._conformer = Conformer(schema, table, key)
        self._encoder = CopyEncoder(schema)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._writer = ThreadPoolExecutor(1, "penstock snapshot")
        self._written: Future[None] | None = None
        self.rows = 0
        self.path = posixpath.join(root, _DRAFTS, f"{writer()}-{uuid.uuid4().hex}.parquet")

    @property
    def digest(self) -> StreamDigest:
        """The digest of the rows' COPY stream, complete once closed."""
        return self._encoder.digest

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, once closed."""
        return self._hashed.sha256.hexdigest()

    def id(self, base: str = "") -> str:
        """The snapshot id of the rows, with the id of their base if there is one; complete once closed."""
        return self.digest.id(schema_text(postgres_columns(self._schema), self._key), base)

    def __enter__(self) -> Self:
        self._fs.makedirs(posixpath.dirname(self.path), exist_ok=True)
        self._handle = self._fs.open(self.path, "wb")
        self._hashed = _HashingFile(self._handle)
        self._parquet = pq.ParquetWriter(self._hashed, self._schema, compression="lz4", use_dictionary=False)
        self._encoder.header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.shutdown()
            self._parquet.close()
            self._handle.close()
        finally:
            if self._fs.exists(self.path):
                self._fs.rm_file(self.path)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write the next rows. Raises, and writes none of them, where they are refused."""
        for piece in slices(batch, CHECKED_BYTES):
            conformed = self._conformer.conform(piece)
            self._accept(conformed)
            self._encoder.rows(conformed)
            self.rows += conformed.num_rows
            self._waiting.append(conformed)
            self._waiting_bytes += conformed.nbytes
            if self._waiting_bytes >= ROW_GROUP_BYTES:
                self._write_row_group()

    def close(self) -> None:
        """Write the last row group, and sync the file to the disk. The columns of a table without rows are checked."""
        if self.rows == 0:
            self._accept(pa.RecordBatch.from_pylist([], self._schema))
        self._write_row_group()
        self._wait()
        self._encoder.end()
        self._parquet.close()
        self._handle.flush()
        if isinstance(self._fs, LocalFileSystem):
            os.fsync(self._handle.fileno())
        self._handle.close()

    def move(self, path: str) -> None:
        """Move the closed file to its place."""
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        self._fs.mv(self.path, path)

    def _accept(self, batch: pa.RecordBatch) -> None:
        if self._check is not None:
            self._check(batch)

    def _write_row_group(self) -> None:
        """Compress and write what waits in a thread, while the next rows are encoded; at most one is on its way."""
        if self._waiting:
            self._wait()
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._written = self._writer.submit(self._parquet.write_table, table, row_group_size=1 << 30)
            self._waiting = []
            self._waiting_bytes = 0

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()


class _HashingFile:
    """A file whose bytes are hashed while they are written."""

    closed = False

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and hash."""
        self.sha256.update(data)
        return self._handle.write(data)

    def tell(self) -> int:
        """The place in the file."""
        return self._handle.tell()

    def flush(self) -> None:
        """Flush the file."""
        self._handle.flush()

    def close(self) -> None:
        """Does nothing: the owner of the handle closes it."""


def remove_leftovers(filesystem: fsspec.AbstractFileSystem, root: str) -> int:
    """Remove drafts whose writer died on this machine, and those older than a day. Returns how many were removed."""
    filesystem.invalidate_cache()
    try:
        drafts = filesystem.ls(posixpath.join(root, _DRAFTS), detail=False)
    except FileNotFoundError:
        return 0
    removed = 0
    for draft in drafts:
        try:
            if _abandoned(filesystem, draft):
                filesystem.rm_file(draft)
                removed += 1
        except FileNotFoundError:
            continue
    return removed


def _abandoned(filesystem: fsspec.AbstractFileSystem, draft: str) -> bool:
    dead = is_dead(posixpath.basename(draft).rsplit("-", 1)[0])
    return age(filesystem, draft) > ABANDONED_AFTER if dead is None else dead
