"""Files in object stores that views of a DuckDB file read: by fsspec, where DuckDB's own extension is not there."""

from contextlib import suppress
from typing import Any

import duckdb
import fsspec

from penstock.store_url import EXTRAS, open_store

_INSTALLED = "SELECT count(*) FROM duckdb_extensions() WHERE extension_name = 'httpfs' AND (installed OR loaded)"


class _ObjectStores(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """What DuckDB asks of a file system, of the store that a URL names. Nothing is imported before a URL is read."""

    protocol = tuple(EXTRAS)

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return self._of(path).open(path, mode, **options)

    def glob(self, path: str, **options: Any) -> Any:
        return self._of(path).glob(path, **options)

    def size(self, path: str) -> Any:
        return self._of(path).size(path)

    def modified(self, path: str) -> Any:
        return self._of(path).modified(path)

    def exists(self, path: str, **options: Any) -> Any:
        return self._of(path).exists(path, **options)

    @staticmethod
    def _of(path: str) -> Any:
        return open_store(path)[0]


def reach_object_stores(connection: duckdb.DuckDBPyConnection) -> None:
    """Let `read_parquet('s3://…')` be read with the credentials of the snapshot store, and `penstock[s3]`; likewise the
    URLs of the other stores. Where DuckDB's own extension is installed, that one does it, with DuckDB's secrets."""
    if connection.filesystem_is_registered("s3") or connection.execute(_INSTALLED).fetchall() != [(0,)]:
        return
    with suppress(duckdb.InvalidInputException):  # another connection to the file did it in between
        connection.register_filesystem(_ObjectStores())
