"""Importing a project's files, so that one that is broken is named with line and cause, and takes no other with it."""

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path
from types import ModuleType

import msgspec

from penstock.errors import NotedFault, PenstockError, noting
from penstock.extras import missing_extra
from penstock.project import Project, ProjectError

LONGEST_CAUSE = 400
FOREIGN = ("site-packages", ".venv", ".penstock")
"""Folders inside a project whose files are not the project's own."""


class BrokenFile(msgspec.Struct, frozen=True):
    """Why a module does not import: `file`, relative to the project, and `line` are the innermost of the project."""

    module: str
    file: str
    line: int
    cause: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.cause}"


class BrokenFiles(PenstockError):
    """Files of the project that do not import; its text has one sentence for each."""

    def __init__(self, broken: Iterable[BrokenFile]) -> None:
        self.broken = tuple(broken)
        # What imports a broken file is broken by the same line: it is said once.
        super().__init__("\n".join(dict.fromkeys(map(str, self.broken))))


class Modules(msgspec.Struct, frozen=True):
    """The modules of a package, in name order, and those that do not import."""

    found: tuple[ModuleType, ...] = ()
    broken: tuple[BrokenFile, ...] = ()


def import_package(project: Project | None, package: str, *, leave_out: str = "") -> Modules:
    """The modules of a package of the project; without a project, of the package as it is installed.

    Subpackages, names that begin with `_`, and the module `leave_out` are left out. A package that is not there has
    no modules.
    """
    if project is None:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return Modules()
        root = Path(next(iter(spec.submodule_search_locations))).resolve().parent
    else:
        root = project.root
        if not (root / package).is_dir():
            return Modules()
        project.put_on_path()
    parent, broken = _import(root, package)
    if parent is None:
        return Modules(broken=broken)
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(parent.__path__, f"{package}.")
        if not module.ispkg and not module.name.removeprefix(f"{package}.").startswith("_") and module.name != leave_out
    )
    tried = [_import(root, name) for name in names]
    return Modules(tuple(one for one, _ in tried if one), tuple(chain.from_iterable(faults for _, faults in tried)))


def import_module(project: Project, name: str) -> ModuleType:
    """One module of the project; BrokenFiles where it does not import."""
    project.put_on_path()
    module, broken = _import(project.root, name)
    if module is None:
        raise BrokenFiles(broken)
    return module


def _import(root: Path, name: str) -> tuple[ModuleType | None, tuple[BrokenFile, ...]]:
    """The module, or every fault because of which there is none."""
    error: BaseException | None = None
    module: ModuleType | None = None
    with noting() as noted:
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as raised:
            error = raised
    broken = tuple(_noted(one, name, root) for one in noted)
    if noted:
        _forget({file for one in noted for file, _ in one.calls}, root)
        # What went wrong afterwards is no fault of its own, unless it says so itself.
        error = error if isinstance(error, PenstockError) else None
    if error is not None:
        said = error if isinstance(error, BrokenFiles) else error.__cause__
        if isinstance(said, BrokenFiles):  # of the files that this one reads: each is named already
            raise said from None
        broken += (broken_file(error, name, root),)
    if broken or module is None:
        return None, broken
    places = [module.__file__] if module.__file__ else list(module.__path__)
    if not any(Path(place).resolve().is_relative_to(root) for place in places):
        todo = (
            f"Give {root / name.split('.', maxsplit=1)[0]} an __init__.py, or use a process of its own for the project."
        )
        raise ProjectError(f"module {name}", expected=f"that of {root}", found=places[0], todo=todo)
    return module, ()


def _noted(noted: NotedFault, module: str, root: Path) -> BrokenFile:
    """A fault of a declaration at the innermost line inside `root`."""
    place, line = next(
        ((file, line) for file, line in noted.calls if _own(file, root)), (module.replace(".", "/") + ".py", 1)
    )
    relative = Path(place).relative_to(root).as_posix() if Path(place).is_relative_to(root) else place
    return BrokenFile(module, relative, line, " ".join(str(noted.fault).split())[:LONGEST_CAUSE])


def _forget(files: Collection[str], root: Path) -> None:
    """Let the modules of these files be imported anew: they hold what was declared with a fault.

    The program itself is none of them, wherever it lies: without `__main__` many an extension does not load.
    """
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file is not None and file in files and _own(file, root):
            del sys.modules[name]


def broken_file(error: BaseException, module: str, root: Path) -> BrokenFile:
    """Where and why a module did not import: the innermost line inside `root`, and the error's own words."""
    place, line = module.replace(".", "/") + ".py", 1
    trace = error.__traceback__
    while trace is not None:
        if _own(trace.tb_frame.f_code.co_filename, root):
            place, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename and _own(error.filename, root):
        place, line = error.filename, error.lineno or 1
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    kind = "" if isinstance(error, PenstockError) else f"{type(error).__name__}: "
    if isinstance(error, ModuleNotFoundError) and (sentence := missing_extra(error)):
        kind, words = "", sentence
    relative = Path(place).relative_to(root).as_posix() if Path(place).is_relative_to(root) else place
    return BrokenFile(module, relative, line, f"{kind}{' '.join(words.split())}"[:LONGEST_CAUSE])


def _own(filename: str, root: Path) -> bool:
    path = Path(os.path.normpath(filename))
    return path.is_relative_to(root) and not set(path.relative_to(root).parts) & set(FOREIGN)
