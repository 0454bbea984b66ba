"""Which files of this repository's top level a new project is made of. The build imports it too."""

from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("assets", "model_tools", "resources", "schemas", "serve_app")
TESTS = "tests/project"
PINS = "requirements/project"
DECLARATION = "pyproject.toml"
"""Where the example's name and seed stand; a new project gets one of its own."""
EVERY_PROJECT = (
    ".dockerignore",
    ".gitignore",
    "Containerfile",
    "assets/__init__.py",
    "assets/definitions.py",
    "compose.yaml",
    "dagster.yaml",
    "model_tools/__init__.py",
    "model_tools/pyproject.toml",
    "requirements/check_machine.py",
    "requirements/thin.sh",
    "requirements/venv.sh",
    "resources/__init__.py",
    "schemas/__init__.py",
    "serve_app/__init__.py",
    "serve_app/deployment.py",
    "serve_app/serve_config.yaml",
    "workspace.yaml",
    f"{PINS}/dev.txt",
    f"{PINS}/images.txt",
    f"{PINS}/run.txt",
    f"{PINS}/serve.txt",
    f"{TESTS}/test_project.py",
)
ONLY_THE_EXAMPLE = ("tests/example.py",)
MADE = ("__pycache__", "build", ".egg-info", ".so")


def template_files(top: Path) -> list[str]:
    """Every file of the top level that a new project may need, as paths relative to it."""
    found = {*EVERY_PROJECT, *ONLY_THE_EXAMPLE, DECLARATION}
    for folder in (*FOLDERS, TESTS):
        found |= {path.relative_to(top).as_posix() for path in _files(top / folder)}
    return sorted(found)


def copied(top: Path, *, example: bool) -> dict[str, Path]:
    """Path in a new project -> the file that it is a copy of; with the example, or only what every project has."""
    chosen = template_files(top) if example else EVERY_PROJECT
    return {_target(name): top / name for name in chosen if name != DECLARATION}


def _target(name: str) -> str:
    for folder in (TESTS, PINS):
        if name.startswith(f"{folder}/"):
            return f"{folder.partition('/')[0]}/{name.removeprefix(f'{folder}/')}"
    return name


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.endswith(MADE) for part in path.parts):
            yield path
