"""What the modules in `without/` do: refuse Ray's own imports of a package, or put a package off until it is used."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "without"
REFUSED = {"ray.serve._private.utils", "ray._private.arrow_serialization"}


def stand_in(name: str) -> None:
    """Put the real package in the place of its stand-in; ModuleNotFoundError for Ray, which then does without."""
    if _importer() in REFUSED:
        raise ModuleNotFoundError(f"Ray does without {name} here, see {HERE / name}.py", name=name)
    del sys.modules[name]
    with _real():
        sys.modules[name] = importlib.import_module(name)


def put_off(name: str) -> Callable[[str], Any]:
    """The `__getattr__` of a stand-in that becomes the real package when somebody asks it for something."""
    standing_in = sys.modules[name]

    def ask(attribute: str) -> Any:
        if sys.modules.get(name) is standing_in:
            del sys.modules[name]
        with _real():
            real = importlib.import_module(name)
        vars(standing_in).update(vars(real))
        return getattr(real, attribute)

    return ask


@contextmanager
def _real() -> Iterator[None]:
    """Look for packages where the stand-ins are not."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if not _is_here(entry)]
    try:
        yield
    finally:
        sys.path[:] = path


def _is_here(entry: str) -> bool:
    """Whether an entry of sys.path is the folder of the stand-ins, which may be reached through a link."""
    return Path(entry).name == HERE.name and os.path.realpath(entry) == str(HERE)


def _importer() -> str:
    """The module whose import statement is being executed."""
    frame = sys._getframe(2).f_back  # of who imports the stand-in
    while frame and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame else ""
