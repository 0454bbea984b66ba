"""What the modules in `import_stubs/` do: refuse Ray's imports of a package, or import a package when it is used."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.serving.on_ray.compat import OPTIONAL_IMPORTERS

STUBS = Path(__file__).resolve().parent / "import_stubs"


def refuse_ray(name: str) -> None:
    """Replace a stub by the real package; ModuleNotFoundError for OPTIONAL_IMPORTERS, which then do without."""
    if _importer() in OPTIONAL_IMPORTERS:
        raise ModuleNotFoundError(f"Ray does without {name} here, see {STUBS / name}.py", name=name)
    del sys.modules[name]
    with _real():
        sys.modules[name] = importlib.import_module(name)


def lazy_package(name: str) -> Callable[[str], Any]:
    """The `__getattr__` of a stub that becomes the real package at the first use of an attribute."""
    stub = sys.modules[name]

    def attribute_of(attribute: str) -> Any:
        if sys.modules.get(name) is stub:
            del sys.modules[name]
        with _real():
            real = importlib.import_module(name)
        vars(stub).update(vars(real))
        return getattr(real, attribute)

    return attribute_of


@contextmanager
def _real() -> Iterator[None]:
    """Look for packages where the stubs are not."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if not _is_stubs(entry)]
    try:
        yield
    finally:
        sys.path[:] = path


def _is_stubs(entry: str) -> bool:
    """Whether an entry of sys.path is the folder of the stubs, which may be reached through a link."""
    return Path(entry).name == STUBS.name and os.path.realpath(entry) == str(STUBS)


def _importer() -> str:
    """The module whose import statement is being executed."""
    frame = sys._getframe(2).f_back  # the module that imports the stub
    while frame and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame else ""
