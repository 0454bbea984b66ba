"""One snapshot: its manifest, and its rows as they stream out of the store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import PenstockError
from penstock.rows.merge import merged

EXTRACTED = "the whole table was extracted"
CHANGES = "only changes were extracted"
SKIPPED = "skipped before extracting"


class SnapshotError(PenstockError):
    """A snapshot that is missing, damaged, or of an unknown format."""


class Recipe(msgspec.Struct, frozen=True):
    """How a table is extracted. Two snapshots with equal recipes differ only by what changed in the warehouse.

    - `query`: the SQL that runs in the warehouse.
    - `key`: the columns that are unique and order the rows.
    - `shape`: the digest of the declared shape, empty where none was recorded.
    - `version`: the result of the table's version query, empty where it declares none.
    - `dialect`: the kind of the warehouse, empty where it was not recorded.
    """

    query: str
    key: tuple[str, ...]
    shape: str = ""
    version: str = ""
    dialect: str = ""

    def at(self, version: str) -> "Recipe":
        """The same recipe at another version."""
        return msgspec.structs.replace(self, version=version)


class Manifest(msgspec.Struct, frozen=True):
    """What is known of a snapshot without reading its rows.

    - `bytes` and `file_sha256` describe the Parquet file, `stream_bytes` and `stream_sha256` the binary COPY stream of
      the rows in that file.
    - `query`, `key`, `shape`, `version` and `dialect` are the recipe, see `Recipe`.
    - `full_as_of` is the time of the last full extract, where only changes since then were extracted.
    - `seconds` from the start of the query to the last row stored; 0 where it was not measured.
    - `base` is the id of the snapshot that this one extends. Its own file then has only the `delta_rows` rows that are
      new or changed since; `rows` counts all rows.
    """

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
    base: str = ""
    delta_rows: int = 0
    file_sha256: str = ""
    shape: str = ""
    version: str = ""
    how: str = EXTRACTED
    seconds: float = 0.0
    dialect: str = ""

    @property
    def recipe(self) -> Recipe:
        """How the snapshot was extracted."""
        return Recipe(self.query, self.key, self.shape, self.version, self.dialect)


@dataclass(frozen=True)
class Snapshot:
    """One table's content at one time. The rows are sorted by `key`; the `id` is the digest of the content.

    A snapshot with a `base` has the rows of that base, and those of its own file, which are new or replace the base's
    row of the same key.
    """

    manifest: Manifest
    schema: pa.Schema
    filesystem: fsspec.AbstractFileSystem
    paths: tuple[str, ...]
    base: "Snapshot | None" = None

    @property
    def id(self) -> str:
        """SHA-256 of the binary COPY stream, the schema, and the id of the base if there is one; 64 hex digits."""
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
        """The instant at which the warehouse had this content, UTC."""
        return self.manifest.as_of

    @property
    def full_as_of(self) -> datetime:
        """The instant of the last full extract on which this content is based, UTC."""
        return self.manifest.full_as_of or self.as_of

    @property
    def file_rows(self) -> int:
        """The number of rows in its own file."""
        return self.manifest.delta_rows if self.manifest.base else self.rows

    @property
    def own(self) -> "Snapshot":
        """The snapshot without its base: only the rows of its own file."""
        return replace(self, base=None)

    def batches(self, batch_rows: int = 16_384, *, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """All rows in key order, streamed; only `columns` if given."""
        schema = pa.schema([self.schema.field(name) for name in columns]) if columns else self.schema
        return pa.RecordBatchReader.from_batches(schema, self._read(schema, batch_rows))

    def row_groups(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Callable[[], pa.RecordBatch]]]:
        """For each row group of the own file: its `columns`, and a function that reads all its columns."""
        with self._file() as file:
            for number in range(file.num_row_groups):

                def whole(number: int = number) -> pa.RecordBatch:
                    return _one(file.read_row_group(number, use_threads=False), self.schema)

                wanted = pa.schema([self.schema.field(name) for name in columns])
                yield _one(file.read_row_group(number, list(columns), use_threads=False), wanted), whole

    def _read(self, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        if self.base is None:
            yield from self._stored(schema, batch_rows)
            return
        names = schema.names + [name for name in self.key if name not in schema.names]
        wide = pa.schema([self.schema.field(name) for name in names])
        rows, changes = self.base._read(wide, batch_rows), self._stored(wide, batch_rows)
        for batch in merged(rows, changes, self.key):
            yield batch.select(schema.names) if len(names) > len(schema) else batch

    def _stored(self, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        with self._file() as file:
            for batch in file.iter_batches(batch_rows, columns=schema.names, use_threads=False):
                yield batch.select(schema.names).cast(schema) if not batch.schema.equals(schema) else batch

    @contextmanager
    def _file(self) -> Iterator[pq.ParquetFile]:
        (path,) = self.paths
        with (
            self.filesystem.open(path, "rb") as handle,
            pq.ParquetFile(handle, pre_buffer=False, buffer_size=1 << 20) as file,
        ):
            yield file


def _one(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    """One row group, read as a table, as one batch of the schema."""
    whole = table.select(schema.names).cast(schema).combine_chunks()
    return whole.to_batches()[0] if whole.num_rows else pa.RecordBatch.from_pylist([], schema)
