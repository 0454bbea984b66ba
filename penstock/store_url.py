"""Where a store of snapshots or artifacts is: a folder, or any URL that fsspec knows."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import PenstockError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""How a URL begins -> the extra of penstock that brings its driver."""


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of a folder or URL, and the path in it.

    A path is taken as it is: to fsspec itself `::` and `#` in one would mean something.
    """
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    if "://" in url:
        scheme = url.partition("://")[0]
        try:
            # What another process has written meanwhile is to be seen.
            files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError:
            extra = EXTRAS.get(scheme)
            todo = f"Install it: pip install 'penstock[{extra}]'" if extra else "Install the package that fsspec names."
            raise PenstockError(
                f"store {shown_store(url)}", expected=f"the driver of {scheme}://", found="not installed", todo=todo
            ) from None
        except ValueError as error:
            raise PenstockError(
                f"store {shown_store(url)}",
                expected="a folder, or a URL such as s3://bucket/folder",
                found=str(error),
                todo="Correct PENSTOCK_SNAPSHOTS_URL or PENSTOCK_ARTIFACTS_URL.",
            ) from None
        return files, str(root)
    return LocalFileSystem(), os.path.abspath(url)


def shown_store(url: str) -> str:
    """What may be shown of a store's URL: no user, password or query."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def age(files: Any, path: str) -> timedelta:
    """How long ago a file of a store was written, on every store."""
    modified: datetime = files.modified(path)
    return datetime.now(UTC) - (modified.replace(tzinfo=UTC) if modified.tzinfo is None else modified)
