"""The template of a new project, as one small archive in the wheel. The build imports this file too."""

import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.scaffold.manifest import template_files

NAME = "template.tar.xz"
"""Together the files take 40% less than one by one in a wheel, and pip compiles none of them."""


def pack(top: Path, folder: Path) -> None:
    """Write the archive into `folder`: the same files give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / NAME, "wb", preset=9) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in template_files(top):
            entry = tarfile.TarInfo(name)
            entry.size = (top / name).stat().st_size
            with (top / name).open("rb") as content:
                archive.addfile(entry, content)


@contextmanager
def unpacked(folder: Path, *, checkout: Path) -> Iterator[Path]:
    """The top level that new projects are made of: of the archive in `folder`, or of the checkout without one."""
    if not (folder / NAME).is_file():
        yield checkout
        return
    with tempfile.TemporaryDirectory(prefix="penstock-template-") as place:
        with tarfile.open(folder / NAME) as archive:
            for entry in archive:  # extractall() knows its filters since Python 3.11.4 only, and Debian has 3.11.2
                content = archive.extractfile(entry)
                if content is not None:
                    path = Path(place) / entry.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
        yield Path(place)
