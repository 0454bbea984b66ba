"""The snapshot store: immutable, content-addressed results of extracts, in a folder or any fsspec URL."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from model_tools.errors import PenstockError
from resources.column_types import postgres_columns, stored_schema
from resources.snapshot_file import SnapshotFile, remove_leftovers


class SnapshotError(PenstockError):
    """A snapshot that is missing, damaged, or of an unknown format."""


class Manifest(msgspec.Struct, frozen=True):
    """What is known of a snapshot without reading its rows. `bytes` is the size of the Parquet file,
    `stream_bytes` and `stream_sha256` describe the binary COPY stream of its rows. `full_as_of` is the time of the
    last full extract where only changes since then were extracted."""

    id: str
    name: str
    rows: int
    bytes: int
    stream_bytes: int
    stream_sha256: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    query: str
    as_of: datetime
    created: datetime
    format: int = 1
    full_as_of: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """One table's content at one time. Its rows are sorted by `key`; its `id` is the digest of its content."""

    manifest: Manifest
    schema: pa.Schema
    filesystem: fsspec.AbstractFileSystem
    paths: tuple[str, ...]

    @property
    def id(self) -> str:
        """SHA-256 of the binary COPY stream followed by the schema, 64 hex digits."""
        return self.manifest.id

    @property
    def name(self) -> str:
        """The table that was extracted."""
        return self.manifest.name

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.manifest.rows

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that are unique and order the rows."""
        return self.manifest.key

    @property
    def as_of(self) -> datetime:
        """The instant that the content tells about, UTC."""
        return self.manifest.as_of

    @property
    def full_as_of(self) -> datetime:
        """The instant of the last extract of the whole table that this content builds on, UTC."""
        return self.manifest.full_as_of or self.as_of

    def batches(self, batch_rows: int = 16_384, *, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """All rows in key order, streamed; of `columns` alone if given."""
        schema = pa.schema([self.schema.field(name) for name in columns]) if columns else self.schema
        return pa.RecordBatchReader.from_batches(schema, self._read(schema, batch_rows))

    def _read(self, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        for path in self.paths:
            with (
                self.filesystem.open(path, "rb") as handle,
                pq.ParquetFile(handle, pre_buffer=False, buffer_size=1 << 20) as file,
            ):
                for batch in file.iter_batches(batch_rows, columns=schema.names, use_threads=False):
                    yield batch if batch.schema.equals(schema) else batch.cast(schema)


class SnapshotStore:
    """Snapshots below one URL: `objects/<id>/` holds rows and manifest, `names/<name>/` one entry per write.

    A snapshot exists once its manifest does. The manifest is moved into place after the rows are, so a
    half-written snapshot is never visible.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def write(
        self,
        name: str,
        batches: pa.RecordBatchReader,
        *,
        key: tuple[str, ...],
        query: str,
        as_of: datetime,
        check: Callable[[pa.RecordBatch], None] | None = None,
        full_as_of: datetime | None = None,
    ) -> Snapshot:
        """Store `batches`, sorted by `key`, in one pass and constant memory; equal content is stored once.

        `check` sees each batch, types normalised, before it is accepted, and raises to refuse it. Raises
        TypeRefused, ValueRefused or KeyRefused for what a replicated table cannot hold; then nothing is stored.
        """
        schema = stored_schema(batches.schema, name)
        remove_leftovers(self._fs, self._root)
        with SnapshotFile(self._fs, self._root, name, schema=schema, key=key, check=check) as file:
            for batch in batches:
                file.add(batch)
            file.close()
            manifest = Manifest(
                id=file.id,
                name=name,
                rows=file.rows,
                bytes=self._fs.size(file.path),
                stream_bytes=file.digest.bytes,
                stream_sha256=file.digest.stream,
                columns=postgres_columns(schema),
                key=key,
                query=query,
                as_of=as_of.astimezone(UTC),
                created=datetime.now(UTC),
                full_as_of=full_as_of,
            )
            if not self.exists(manifest.id):
                file.move(self._rows_path(manifest.id))
                self._put(self._manifest_path(manifest.id), manifest)
        self._put(self._entry_path(manifest), manifest)
        return self._snapshot(manifest, schema)

    def exists(self, snapshot_id: str) -> bool:
        """Whether the snapshot is stored, whole."""
        return bool(self._fs.exists(self._manifest_path(snapshot_id)))

    def open(self, snapshot_id: str) -> Snapshot:
        """The stored snapshot of this id; SnapshotError if there is none."""
        try:
            manifest = self._get(self._manifest_path(snapshot_id))
        except FileNotFoundError:
            raise SnapshotError(
                f"snapshot {snapshot_id[:12]}",
                expected=f"one in {self.url}",
                found="none",
                todo="It may have been dropped by retention: extract the table again.",
            ) from None
        with self._fs.open(self._rows_path(snapshot_id), "rb") as handle:
            return self._snapshot(manifest, pq.read_schema(handle).remove_metadata())

    def history(self, name: str) -> list[Manifest]:
        """Every write of a table, oldest first; equal content written twice appears twice."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self._names_path(name), detail=False)
        except FileNotFoundError:
            return []
        return [self._get(path) for path in sorted(entries) if path.endswith(".json")]

    def names(self) -> list[str]:
        """The tables that have snapshots."""
        self._fs.invalidate_cache()
        try:
            folders = self._fs.ls(posixpath.join(self._root, "names"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(unquote(posixpath.basename(folder.rstrip("/"))) for folder in folders)

    def remove(self, snapshot_id: str) -> None:
        """Drop a snapshot: first from its tables' history, then its manifest, and last its rows."""
        for name in self.names():
            for path in self._fs.ls(self._names_path(name), detail=False):
                if path.endswith(f"-{snapshot_id}.json"):
                    self._fs.rm_file(path)
        for path in (self._manifest_path(snapshot_id), self._rows_path(snapshot_id)):
            if self._fs.exists(path):
                self._fs.rm_file(path)

    def latest(self, name: str) -> Snapshot | None:
        """The newest snapshot of a table, or None. Its `as_of` is that of the newest write of this content."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self._names_path(name), detail=False)
        except FileNotFoundError:
            return None
        written = sorted(path for path in entries if path.endswith(".json"))
        if not written:
            return None
        manifest = self._get(written[-1])
        stored = self.open(manifest.id)
        return self._snapshot(manifest, stored.schema)

    def _snapshot(self, manifest: Manifest, schema: pa.Schema) -> Snapshot:
        return Snapshot(manifest, schema, self._fs, (self._rows_path(manifest.id),))

    def _rows_path(self, snapshot_id: str) -> str:
        return posixpath.join(self._root, "objects", snapshot_id, "rows.parquet")

    def _manifest_path(self, snapshot_id: str) -> str:
        return posixpath.join(self._root, "objects", snapshot_id, "manifest.json")

    def _names_path(self, name: str) -> str:
        return posixpath.join(self._root, "names", quote(name, safe=""))

    def _entry_path(self, manifest: Manifest) -> str:
        return posixpath.join(self._names_path(manifest.name), f"{manifest.created:%Y%m%dT%H%M%S%f}-{manifest.id}.json")

    def _put(self, path: str, manifest: Manifest) -> None:
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        draft = f"{path}.draft"
        self._fs.pipe_file(draft, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        self._fs.mv(draft, path)

    def _get(self, path: str) -> Manifest:
        try:
            return msgspec.json.decode(self._fs.cat_file(path), type=Manifest)
        except msgspec.DecodeError as error:
            raise SnapshotError(path, expected="a snapshot manifest", found=str(error)) from None
