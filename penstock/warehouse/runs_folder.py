"""The folder of a sort's runs: a killed sort cannot remove its own, so the next one on this machine does."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "penstock-sort-"


@contextmanager
def runs_folder() -> Iterator[Path]:
    """A new folder below that of temporary files, removed when the context is left; those of killed sorts go first.

    The folder is locked while its process lives, and is named so that others look at it only when it is locked.
    """
    remove_left()
    made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    held = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = made.rename(made.with_name(made.name[1:]))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def remove_left() -> None:
    """Remove the folders whose processes have ended, as far as this user may."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, one in use, or one that is just being removed
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)
