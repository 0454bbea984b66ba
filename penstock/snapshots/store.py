"""The snapshot store: immutable, content-addressed results of extracts, in a folder or any fsspec URL."""

import posixpath
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.rows.types import postgres_columns, stored_schema
from penstock.snapshots.parts import PartFiles, remove_old_parts
from penstock.snapshots.snapshot import CHANGES, SKIPPED, Manifest, Recipe, Snapshot, SnapshotError
from penstock.snapshots.writing import SnapshotFile, remove_leftovers
from penstock.store_url import age, open_store

__all__ = ["Manifest", "Recipe", "Snapshot", "SnapshotError", "SnapshotStore"]
_WRITER_PATIENCE = timedelta(hours=1)


class SnapshotStore:
    """Snapshots below one URL: `objects/<id>/` holds rows and manifest, `names/<name>/` one entry per write.

    A snapshot exists once its manifest does. The manifest is moved into place after the rows, so that a half-written
    snapshot is never visible.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._root = open_store(url)

    def write(
        self,
        name: str,
        batches: pa.RecordBatchReader,
        recipe: Recipe,
        *,
        as_of: datetime,
        check: Callable[[pa.RecordBatch], None] | None = None,
        admit: Callable[[str], None] | None = None,
        for_book: bool = True,
        began: float | None = None,
    ) -> Snapshot:
        """Store `batches`, which are sorted by the recipe's key, in one pass and constant memory.

        - Equal content is stored once.
        - `check` is called with each batch, its types normalised, and raises to refuse it.
        - `admit` is called with the id of what was read, and raises to refuse it.
        - `began`, of `time.monotonic`: when the query was started. The manifest then tells how long all took.
        - A snapshot that is not `for_book`, a training set, may have names and numbers of columns that no table has.
        - ColumnTypeError, ColumnValueError or RowKeyError for what a replicated table cannot hold; nothing is stored.
        """
        schema = stored_schema(batches.schema, name, for_book=for_book)
        draft = Manifest(
            id="",
            name=name,
            rows=0,
            bytes=0,
            stream_bytes=0,
            stream_sha256="",
            columns=postgres_columns(schema),
            query=recipe.query,
            key=recipe.key,
            shape=recipe.shape,
            version=recipe.version,
            dialect=recipe.dialect,
            as_of=as_of.astimezone(UTC),
            created=datetime.now(UTC),
        )
        return self._store(draft, schema, batches, check, lambda rows: rows, admit=admit, began=began)

    def write_changes(
        self,
        last: Snapshot,
        changes: Iterable[pa.RecordBatch],
        rows: Callable[[int], int],
        recipe: Recipe,
        *,
        as_of: datetime,
        check: Callable[[pa.RecordBatch], None] | None = None,
    ) -> Snapshot:
        """Store the snapshot of the base of `last` (of `last` itself, if it has no base) with `changes` on top.

        - `changes` are all rows that are new or changed since that base, sorted by its key.
        - `rows` is called after they were read, with their number, and returns the number of all rows.
        - Without any change, the base itself is returned.
        - Raises as `write` does.
        """
        base = last.base or last
        draft = msgspec.structs.replace(
            base.manifest,
            as_of=as_of.astimezone(UTC),
            created=datetime.now(UTC),
            full_as_of=last.full_as_of,
            base=base.id,
            version=recipe.version,
            how=CHANGES,
            seconds=0.0,
        )
        return self._store(draft, base.schema, changes, check, rows, base)

    def parts(self, name: str, identity: str | None, plan: bytes) -> PartFiles:
        """The parts of an extract of the table that is under way, see `PartFiles`."""
        return PartFiles(self._fs, self._root, name, identity, plan)

    def skip(self, last: Snapshot, as_of: datetime) -> Snapshot:
        """Record that the table still has the content of `last` at a later instant, without an extract."""
        return self._again(
            last,
            msgspec.structs.replace(
                last.manifest,
                as_of=as_of.astimezone(UTC),
                created=datetime.now(UTC),
                full_as_of=last.full_as_of,
                how=SKIPPED,
                seconds=0.0,
            ),
        )

    def _store(
        self,
        draft: Manifest,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        check: Callable[[pa.RecordBatch], None] | None,
        rows: Callable[[int], int],
        base: Snapshot | None = None,
        *,
        admit: Callable[[str], None] | None = None,
        began: float | None = None,
    ) -> Snapshot:
        remove_leftovers(self._fs, self._root)
        remove_old_parts(self._fs, self._root)
        with SnapshotFile(self._fs, self._root, draft.name, schema=schema, key=draft.key, check=check) as file:
            for batch in batches:
                file.add(batch)
            file.close()
            if base is not None and not file.rows:
                return self._again(base, msgspec.structs.replace(draft, base=""))
            manifest = msgspec.structs.replace(
                draft,
                id=file.id(draft.base),
                rows=rows(file.rows),
                delta_rows=file.rows if draft.base else 0,
                bytes=self._fs.size(file.path),
                file_sha256=file.sha256,
                stream_bytes=file.digest.bytes,
                stream_sha256=file.digest.stream,
                seconds=time.monotonic() - began if began is not None else 0.0,
            )
            if admit is not None:
                admit(manifest.id)
            if self.exists(manifest.id):
                there = self._get(self._manifest_path(manifest.id))
                manifest = msgspec.structs.replace(manifest, bytes=there.bytes, file_sha256=there.file_sha256)
            else:
                file.move(self._rows_path(manifest.id))
                self._put(self._manifest_path(manifest.id), manifest)
        self._put(self._entry_path(manifest), manifest)
        return self._snapshot(manifest, schema)

    def _again(self, snapshot: Snapshot, manifest: Manifest) -> Snapshot:
        self._put(self._entry_path(manifest), manifest)
        return self._snapshot(manifest, snapshot.schema)

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
        """Remove a snapshot: first its entries in the history of its tables, then its manifest, and last its rows."""
        for name in self.names():
            for path in self._fs.ls(self._names_path(name), detail=False):
                if path.endswith(f"-{snapshot_id}.json"):
                    self._fs.rm_file(path)
        for path in (self._manifest_path(snapshot_id), self._rows_path(snapshot_id)):
            if self._fs.exists(path):
                self._fs.rm_file(path)

    def latest(self, name: str) -> Snapshot | None:
        """The newest snapshot of a table, or None. Its `as_of` is that of the newest write, even of equal content."""
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

    def remove_unnamed(self) -> int:
        """Remove rows without a manifest, which a writer that died has left. Returns how many were removed."""
        self._fs.invalidate_cache()
        try:
            folders = self._fs.ls(posixpath.join(self._root, "objects"), detail=False)
        except FileNotFoundError:
            return 0
        removed = 0
        for folder in folders:
            rows = self._rows_path(posixpath.basename(folder.rstrip("/")))
            if self._fs.exists(posixpath.join(folder, "manifest.json")) or not self._fs.exists(rows):
                continue
            if age(self._fs, rows) > _WRITER_PATIENCE:
                self._fs.rm_file(rows)
                removed += 1
        return removed

    def _snapshot(self, manifest: Manifest, schema: pa.Schema) -> Snapshot:
        base = self.open(manifest.base) if manifest.base else None
        return Snapshot(manifest, schema, self._fs, (self._rows_path(manifest.id),), base)

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
