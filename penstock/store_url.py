"""Where a store of snapshots or artifacts is: a folder, or any URL that fsspec knows."""

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import PenstockError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""How a URL begins -> the extra of penstock that brings its driver."""

NO_STORES = {
    "memory": "the memory of one process, which no other one sees",
    "http": "a server that is only read",
    "https": "a server that is only read",
}
"""How a URL begins -> why no store can be there, although fsspec knows it."""


_HALF_A_URL = re.compile(r"[a-z][a-z0-9+.-]+(:(/[^/]|[^/])|//)", re.I)


def is_folder(text: str) -> bool:
    """Whether a store is a folder: it is no URL, and none of which a slash or a colon was forgotten."""
    return "://" not in text and not _HALF_A_URL.match(text)


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
        except (ImportError, ValueError) as error:
            extra = EXTRAS.get(scheme)
            # fsspec knows some of a driver's schemes only where the driver is installed.
            if isinstance(error, ImportError) or (extra and "Protocol not known" in str(error)):
                raise PenstockError(
                    f"store {shown_store(url)}",
                    expected=f"the driver of {scheme}://",
                    found="not installed",
                    todo=f"Install it: pip install 'penstock[{extra}]'" if extra else "Install what fsspec names.",
                ) from None
            raise PenstockError(
                f"store {shown_store(url)}",
                expected="a folder, or a URL such as s3://bucket/folder",
                found=str(error),
                todo="Correct PENSTOCK_SNAPSHOTS_URL or PENSTOCK_ARTIFACTS_URL.",
            ) from None
        if isinstance(files, LocalFileSystem):
            _demand_no_file_at(str(root))
        return files, str(root)
    if not is_folder(url):
        raise PenstockError(
            f"store {url}",
            expected="a folder, or a URL such as s3://bucket/folder",
            found="neither",
            todo="Correct PENSTOCK_SNAPSHOTS_URL or PENSTOCK_ARTIFACTS_URL: a URL has a colon and two slashes.",
        )
    path = os.path.abspath(url)
    _demand_no_file_at(path)
    return LocalFileSystem(), path


def _demand_no_file_at(path: str) -> None:
    if _in_the_way(path):
        raise PenstockError(
            f"store {path}",
            expected="a folder",
            found="a file, there or above",
            todo="Correct PENSTOCK_SNAPSHOTS_URL or PENSTOCK_ARTIFACTS_URL.",
        )


def _in_the_way(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except NotADirectoryError:
        return True
    except OSError:
        return False


def ask_store(name: str, url: str, variable: str) -> int:
    """How many entries a store has at its top; PenstockError in one sentence where it does not answer.

    `name` is what the message calls the store, `variable` the one that holds its URL.
    """
    if why := NO_STORES.get(url.partition("://")[0]):
        expected = "a folder, or a URL such as s3://bucket/folder"
        raise PenstockError(f"store {shown_store(url)}", expected=expected, found=why, todo=f"Correct {variable}.")
    files, root = open_store(url)
    try:
        try:
            return len(files.ls(root, detail=False))
        except FileNotFoundError:  # nothing was written there yet
            bucket = "" if root.startswith("/") else root.split("/")[0]
            if bucket and not files.exists(bucket):
                raise FileNotFoundError(f"{bucket} does not exist, or these credentials may not list it") from None
            return 0
    except Exception as error:  # the client of each store has errors of its own
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise PenstockError(
            name,
            expected=f"an answer of {shown_store(url)}",
            found=words[0],
            todo=f"Look at {variable}, its bucket or folder, and the credentials in the environment.",
        ) from error


def demand_writable(name: str, url: str, variable: str) -> None:
    """PenstockError where a store is a folder that this user may not write. Of a bucket only a write can tell."""
    from fsspec.implementations.local import LocalFileSystem

    files, root = open_store(url)
    if not isinstance(files, LocalFileSystem):
        return
    folder = next(path for path in (Path(root), *Path(root).parents) if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PenstockError(
            name,
            expected=f"a folder that may be written, {root}",
            found=f"{folder}, which may not",
            todo=f"Correct {variable}, or the owner of that folder.",
        )


def shown_store(url: str) -> str:
    """What may be shown of a store's URL: no user, password or query."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def written_at(files: Any, path: str) -> datetime:
    """When a file of a store was written, UTC, on every store."""
    modified: datetime = files.modified(path)
    return modified.replace(tzinfo=UTC) if modified.tzinfo is None else modified.astimezone(UTC)


def age(files: Any, path: str) -> timedelta:
    """How long ago a file of a store was written, on every store."""
    return datetime.now(UTC) - written_at(files, path)
