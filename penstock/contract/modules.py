"""The modules of a project as source: what each binds, and where what it imports comes from."""

import ast
import importlib.util
import sys
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

from penstock.contract.names import Chain, Names, names_of
from penstock.importing import FOREIGN

ENGINE = "penstock"


class Target(NamedTuple):
    """What an import names: a module, or with `name` something in a module."""

    module: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


class Module:
    """The source of one module. A module without source, a compiled one, has no statements but its bytes."""

    def __init__(self, name: str, spec: ModuleSpec) -> None:
        self.name = name
        self._package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        source = spec.loader.get_source(name) if hasattr(spec.loader, "get_source") else ""  # type: ignore[union-attr]
        self.bytes = Path(spec.origin).read_bytes() if source is None and spec.origin else b""
        self.statements = [one for one in ast.parse(source or "").body if not _is_main(one)]

    @cached_property
    def names(self) -> list[Names]:
        """The names of each statement."""
        return [names_of(statement) for statement in self.statements]

    @cached_property
    def bound(self) -> frozenset[str]:
        """The names that statements bind, without imports."""
        return frozenset().union(*(names.binds for names in self.names))

    @cached_property
    def imports(self) -> dict[str, list[Target]]:
        """Imported name -> what it names; several where one stands in for another. `*` are whole modules."""
        found: dict[str, list[Target]] = {}
        for node in (node for statement in self.statements for node in ast.walk(statement)):
            if isinstance(node, ast.Import):
                for one in node.names:
                    whole = one.name if one.asname else one.name.partition(".")[0]
                    found.setdefault(one.asname or whole, []).append(Target(whole))
            elif isinstance(node, ast.ImportFrom):
                module = self._absolute(node)
                for one in node.names:
                    target = Target(module, "" if one.name == "*" else one.name)
                    found.setdefault(one.asname or one.name, []).append(target)
        return found

    def origin(self, expression: ast.expr) -> str:
        """The full name of an imported thing, empty for anything else."""
        parts: list[str] = []
        while isinstance(expression, ast.Attribute):
            parts.append(expression.attr)
            expression = expression.value
        if not isinstance(expression, ast.Name) or len(targets := self.imports.get(expression.id, [])) != 1:
            return ""
        return ".".join([str(targets[0]), *reversed(parts)])

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


class Modules:
    """The modules that belong to the same project as a first one: those of its package, and those beside that."""

    def __init__(self, first: str) -> None:
        self._read: dict[str, Module | None] = {}
        self._package = first.partition(".")[0]
        spec = _spec(first)
        root = (
            Path(spec.origin).resolve().parents[first.count(".") + _is_package(spec)] if spec and spec.origin else None
        )
        self._root = root if root and not set(root.parts) & set(FOREIGN) else None

    def get(self, name: str) -> Module | None:
        """A module of the project by its full name, None for any other."""
        if name not in self._read:
            spec = _spec(name) if self._may_be_own(name) else None
            self._read[name] = Module(name, spec) if spec is not None and self._is_own(spec) else None
        return self._read[name]

    def resolve(self, target: Target, rest: Chain) -> tuple[Module, Chain] | None:
        """The module of the project that an import and the attributes after it lead to, and what is named in it.

        Nothing is named where the module itself is meant. None for what is not of the project.
        """
        module, names = target.module, (*([target.name] if target.name else []), *rest)
        while (found := self.get(module)) is not None and names and names[0] not in found.bound:
            inner = f"{module}.{names[0]}"
            if self.get(inner) is None:
                break
            module, names = inner, names[1:]
        return (found, names) if found is not None else None

    def _may_be_own(self, name: str) -> bool:
        top = name.partition(".")[0]
        if top == ENGINE:
            return False
        return top == self._package or (top not in sys.stdlib_module_names and self._root is not None)

    def _is_own(self, spec: ModuleSpec) -> bool:
        if spec.name.partition(".")[0] == self._package:
            return True
        if self._root is None or not spec.origin or not Path(spec.origin).resolve().is_relative_to(self._root):
            return False
        return not set(Path(spec.origin).resolve().relative_to(self._root).parts) & set(FOREIGN)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None


def _is_main(statement: ast.stmt) -> bool:
    """Whether a statement is `if __name__ == "__main__"`, which does not run when the module is imported."""
    names = (
        [node for node in ast.walk(statement.test) if isinstance(node, ast.Name)]
        if isinstance(statement, ast.If)
        else []
    )
    return any(name.id == "__name__" for name in names)
