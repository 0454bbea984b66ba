"""How a new project installs the engine: from where this one was installed (PEP 610)."""

import importlib.metadata
import shlex
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

DISTRIBUTION = "penstock"
FOLDER = "requirements"


class Origin(msgspec.Struct):
    """`direct_url.json` of an installed distribution: an archive, a folder, or a commit."""

    url: str
    archive_info: dict[str, Any] | None = None
    dir_info: dict[str, bool] | None = None
    vcs_info: dict[str, str] | None = None
    subdirectory: str = ""


def write_requirement(project: Path) -> str:
    """Write requirements/penstock.txt of a project; returns its one line.

    A wheel that the engine was installed from is copied beside it, so that the project installs wherever it is
    cloned.
    """
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    text = distribution.read_text("direct_url.json")
    origin = msgspec.json.decode(text, type=Origin) if text else None
    wheel = _wheel(origin)
    if wheel:
        shutil.copy(wheel, project / FOLDER)
        line = f"./{FOLDER}/{wheel.name}"
    else:
        line = requirement(origin, distribution.version)
    (project / FOLDER / "penstock.txt").write_text(
        f"# The engine, as it was installed where `penstock init` wrote this project.\n{line}\n"
    )
    return line


def requirement(origin: Origin | None, version: str) -> str:
    """The line by which pip installs the same engine."""
    if origin is None:
        return f"{DISTRIBUTION}=={version}"
    within = f"#subdirectory={origin.subdirectory}" if origin.subdirectory else ""
    if origin.vcs_info:
        return f"{DISTRIBUTION} @ {origin.vcs_info['vcs']}+{origin.url}@{origin.vcs_info['commit_id']}{within}"
    if origin.dir_info is not None and origin.dir_info.get("editable"):
        return f"-e {shlex.quote(_path(origin.url))}"
    return f"{DISTRIBUTION} @ {origin.url}{within}"


def _wheel(origin: Origin | None) -> Path | None:
    """The wheel on this machine that the engine was installed from, where it still is."""
    if origin is None or origin.archive_info is None or not origin.url.startswith("file:"):
        return None
    path = Path(_path(origin.url))
    return path if path.suffix == ".whl" and path.is_file() else None


def _path(url: str) -> str:
    return url2pathname(urlsplit(url).path)
