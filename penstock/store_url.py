"""Where a store of snapshots or artifacts is: a folder, or any URL that fsspec knows."""

import os
from typing import Any


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of a folder or URL, and the path in it.

    A path is taken as it is: to fsspec itself `::` and `#` in one would mean something.
    """
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    if "://" in url:
        files, root = fsspec.core.url_to_fs(url)
        return files, str(root)
    return LocalFileSystem(), os.path.abspath(url)
