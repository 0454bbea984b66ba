"""The pins of a new project, from files of uv: `python requirements/project_lock.py PYLOCK PYLOCK_OF_IMAGES FOLDER`.

Writes four files of packages with hashes. Only files for where Penstock runs are listed (CPython on Linux with glibc, and on
macOS with ARM), which makes them a tenth of the engine's own pins: every wheel of Penstock carries them.

- run.txt: what a project runs with; serve.txt: what of it a replica needs.
- dev.txt: what its tests and checks need beyond run.txt.
- images.txt: what the stages of its images need.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HEADER = "# Pinned by the engine: `penstock init` wrote this file.\n"
PLATFORM = re.compile(r"any|manylinux.*_(x86_64|aarch64)|macosx_.*_(arm64|universal2)")
OLDEST_PYTHON = 11


def requirement(package: dict[str, Any]) -> str:
    """One package as pip reads it, with the hashes of the files that may be installed; empty where none may."""
    named = {wheel.get("name") or wheel["url"].rpartition("/")[2]: wheel for wheel in package.get("wheels", ())}
    files = [wheel for name, wheel in named.items() if runs_here(name)] or [*filter(None, [package.get("sdist")])]
    if not files:
        return ""
    marker = f" ; {package['marker']}" if package.get("marker") else ""
    hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted({f["hashes"]["sha256"] for f in files}))
    return f"{package['name']}=={package['version']}{marker}{hashes}\n"


def runs_here(wheel: str) -> bool:
    """Whether a wheel, by its name, is for a Python and a platform on which Penstock runs."""
    python, abi, platform = wheel.removesuffix(".whl").split("-")[-3:]
    version = re.fullmatch(r"cp3(\d+)", python)
    if not (python.startswith("py") or version) or (abi.startswith("cp") and abi.endswith("t")):
        return False
    if version and abi != "abi3" and int(version[1]) < OLDEST_PYTHON:
        return False
    return any(PLATFORM.fullmatch(tag) for tag in platform.split("."))


def names(pins: Path) -> set[str]:
    """The packages that a requirements file pins."""
    return set(re.findall(r"^([a-z0-9][\w.-]*)==", pins.read_text(), re.M))


def main() -> None:
    """Write the four files."""
    packages, images = (tomllib.loads(Path(name).read_text())["packages"] for name in sys.argv[1:3])
    folder = Path(sys.argv[3])
    runs = names(folder.parent / "run.txt")
    chosen = {
        "run": runs,
        "serve": names(folder.parent / "serve.txt"),
        "dev": {package["name"] for package in packages} - runs,
    }
    files = {name: [package for package in packages if package["name"] in wanted] for name, wanted in chosen.items()}
    for name, pinned in (files | {"images": images}).items():
        (folder / f"{name}.txt").write_text(HEADER + "".join(requirement(package) for package in pinned))


if __name__ == "__main__":
    main()
