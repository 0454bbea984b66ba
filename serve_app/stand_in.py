"""What the modules in `without/` do: refuse Ray's own imports of a package, and give it to everyone else."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent / "without"
REFUSED = {"ray.serve._private.utils", "ray._private.arrow_serialization"}


def stand_in(name: str) -> None:
    """Put the real package in the place of its stand-in; ModuleNotFoundError for Ray, which then does without."""
    if _importer() in REFUSED:
        raise ModuleNotFoundError(f"Ray does without {name} here, see {HERE / name}.py", name=name)
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if entry != str(HERE)]
    del sys.modules[name]
    try:
        sys.modules[name] = importlib.import_module(name)
    finally:
        sys.path[:] = path


def _importer() -> str:
    """The module whose import statement is being executed."""
    frame = sys._getframe(2).f_back  # of who imports the stand-in
    while frame and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame else ""
