"""Parts of an extract that are kept in the store until all are there, so that a killed one goes on with them."""

import hashlib
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.snapshots.writer import is_dead, writer
from penstock.snapshots.writing import ABANDONED_AFTER
from penstock.store_url import age

_PARTS, _PLAN = "parts", "plan.json"
_ROW_GROUP_ROWS = 131_072


class PartFiles:
    """The parts of one extract of one table: a folder `parts/<table>/<writer>-<digest of the content>/` of the store.

    - `identity`: equal for extracts whose parts are the same rows. None where nobody can know that.
    - Whoever opens them takes over what a dead extract of the same identity has left, and removes what any other one
      has left of this table.
    - `plan`: how the parts were cut by the extract that is gone on with, else as given.
    """

    def __init__(
        self,
        filesystem: fsspec.AbstractFileSystem,
        root: str,
        table: str,
        identity: str | None,
        plan: bytes,
    ) -> None:
        self._fs = filesystem
        self._table = posixpath.join(root, _PARTS, quote(table, safe=""))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:32] if identity is not None else uuid.uuid4().hex
        self._folder = posixpath.join(self._table, f"{writer()}-{digest}")
        self.plan = plan
        self._take_over(digest)
        self._put(_PLAN, self.plan)

    def done(self, part: int) -> bool:
        """Whether the part is there, whole."""
        return bool(self._fs.exists(self._path(part)))

    def write(self, part: int, batches: pa.RecordBatchReader) -> int:
        """Store the rows of a part; it is done at once when all of them are there. Returns how many they were."""
        draft, rows = f"{self._path(part)}.draft", 0
        with (
            self._fs.open(draft, "wb") as handle,
            pq.ParquetWriter(
                handle, batches.schema, compression="lz4", use_dictionary=False, write_page_checksum=True
            ) as file,
        ):
            for table in _gathered(batches):
                file.write_table(table, row_group_size=1 << 30)
                rows += table.num_rows
        self._fs.mv(draft, self._path(part))
        return rows

    def rows(self, part: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a part that is done. OSError where its file was damaged."""
        with (
            self._fs.open(self._path(part), "rb") as handle,
            pq.ParquetFile(handle, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True) as file,
        ):
            yield from file.iter_batches(batch_rows, use_threads=False)

    def remove(self) -> None:
        """Remove all parts: the snapshot is there, or they are of no use."""
        if self._fs.exists(self._folder):
            self._fs.rm(self._folder, recursive=True)

    def _take_over(self, digest: str) -> None:
        for folder in sorted(_folders(self._fs, self._table), key=lambda folder: folder != self._folder):
            owner, _, found = posixpath.basename(folder).rpartition("-")
            dead = is_dead(owner)
            if found == digest:
                self._adopt(folder, move=bool(dead))
            if folder != self._folder and (dead or owner == writer()):
                self._fs.rm(folder, recursive=True)

    def _adopt(self, folder: str, *, move: bool) -> None:
        """Take the parts of another extract of the same rows: a copy where its writer may still run elsewhere."""
        try:
            plan = self._fs.cat_file(posixpath.join(folder, _PLAN))
            if self._there(self._folder) and plan != self.plan:
                return
            self.plan = plan
            self._fs.makedirs(self._folder, exist_ok=True)
            for path in self._there(folder) if folder != self._folder else ():
                (self._fs.mv if move else self._fs.cp_file)(
                    path, posixpath.join(self._folder, posixpath.basename(path))
                )
        except FileNotFoundError:  # its writer has finished meanwhile
            return

    def _there(self, folder: str) -> list[str]:
        return [path for path in _entries(self._fs, folder) if path.endswith(".parquet")]

    def _path(self, part: int) -> str:
        return posixpath.join(self._folder, f"{part:04}.parquet")

    def _put(self, name: str, content: bytes) -> None:
        self._fs.makedirs(self._folder, exist_ok=True)
        self._fs.pipe_file(posixpath.join(self._folder, name), content)


def encoded(plan: object) -> bytes:
    """How the parts are cut, as text that is equal for equal plans."""
    return msgspec.json.encode(plan, order="deterministic")


def remove_old_parts(filesystem: fsspec.AbstractFileSystem, root: str) -> int:
    """Remove the parts of extracts that began more than a day ago, unless their writer runs. Returns how many."""
    removed = 0
    for table in _entries(filesystem, posixpath.join(root, _PARTS)):
        for folder in _folders(filesystem, table):
            plan = posixpath.join(folder, _PLAN)
            try:
                runs = is_dead(posixpath.basename(folder).rpartition("-")[0]) is False
                if not runs and age(filesystem, plan) > ABANDONED_AFTER:
                    filesystem.rm(folder, recursive=True)
                    removed += 1
            except FileNotFoundError:
                continue
    return removed


def _folders(filesystem: fsspec.AbstractFileSystem, table: str) -> list[str]:
    return [path.rstrip("/") for path in _entries(filesystem, table)]


def _entries(filesystem: fsspec.AbstractFileSystem, folder: str) -> list[str]:
    filesystem.invalidate_cache()
    try:
        return sorted(filesystem.ls(folder, detail=False))
    except FileNotFoundError:
        return []


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= _ROW_GROUP_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting.clear()
    if waiting:
        yield pa.Table.from_batches(waiting)
