"""The data folder of the embedded Postgres server, in a place that the server's account can enter."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from penstock.postgres.account import LASTING, PostgresError, account, make_parent, private_parents


def find_data(link: Path) -> Path:
    """The data folder of `link` (`<home>/postgres`), whether or not it exists. Makes nothing."""
    return link.readlink() if link.is_symlink() else link


def place_data(link: Path) -> Path:
    """The data folder of `link`, which is made if it is missing. It is empty until there is a `PG_VERSION` in it.

    - If the server's account can enter `link`, it is `link` itself.
    - Else `link` becomes a symbolic link to a private folder, and data at `link` are moved there.
    - No server may run on the data meanwhile.
    """
    if link.is_symlink():
        return _placed(link)
    who = account()
    link.parent.mkdir(parents=True, exist_ok=True)
    data = link
    if who.switch and not who.may("-x", link.parent):
        data = _private_folder(link) / "data"
    if data != link and link.exists():
        shutil.move(link, data)
    data.mkdir(exist_ok=True)
    data.chmod(0o700)
    if data.stat().st_uid != who.uid:
        who.own(data)
    if data != link:
        link.symlink_to(data)
    return data


def _private_folder(link: Path) -> Path:
    """A new private folder for the data of one home. It names that home, and lasts as long as the home."""
    temporary = any(link.is_relative_to(folder) for folder in (Path(tempfile.gettempdir()).resolve(), Path("/tmp")))  # noqa: S108
    refusals: list[str] = []
    for parent in private_parents(lasting=not temporary):
        try:
            make_parent(parent)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix="home-"))
            folder.chmod(0o755)
            (folder / "home").write_text(f"{link.parent}\n")
        except OSError as error:
            refusals.append(f"{parent}: {error.strerror}")
            continue
        return folder
    raise PostgresError(
        str(link),
        expected=f"a folder that uid {account().uid} may enter, since Postgres does not run as root",
        found="; ".join(refusals),
        todo="Set PENSTOCK_HOME to a folder that all may enter.",
    )


def _placed(link: Path) -> Path:
    """The private folder to which `link` points; PostgresError if it is another home's.

    A home that was moved keeps its own.
    """
    data = link.readlink()
    if not data.exists():
        raise PostgresError(
            str(link),
            expected=f"the data of the embedded Postgres in {data}",
            found="no such folder",
            todo=f"Restore it, or remove {link} to begin with empty books.",
        )
    note = data.parent / "home"
    home = Path(note.read_text().removesuffix("\n")) if note.exists() else link.parent
    if home == link.parent:
        return data
    if (home / link.name).is_symlink() and (home / link.name).readlink() == data:
        raise PostgresError(
            str(link),
            expected="data of its own",
            found=f"the data of {home}, of which this home is a copy",
            todo=f"Remove {link} to begin with empty books, or go on in {home}.",
        )
    note.write_text(f"{link.parent}\n")
    return data


def remove_data(link: Path) -> None:
    """Delete the data of `link` and their private folder. No server may run on them."""
    data = find_data(link)
    if data != link and (data.parent / "home").exists():
        shutil.rmtree(data.parent)
    elif data.exists():
        shutil.rmtree(data)
    if link.is_symlink():
        link.unlink()


def abandoned() -> Iterator[Path]:
    """Root's private folders whose home is gone, or has other data by now. One may belong to a home that moved."""
    for note in sorted(LASTING.glob("home-*/home")):
        link = Path(note.read_text().removesuffix("\n")) / "postgres"
        if not link.is_symlink() or link.readlink() != note.parent / "data":
            yield note.parent
