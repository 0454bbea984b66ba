"""The code that a features function runs: its own, and all that it reaches in its project, in a normal form.

What counts: every function, class and constant that is reached by name, through any number of imports, with the
statements that change them. What does not: what is not reached, an unused import, and what `normal_form` leaves out.
Of packages that are not the project's, the imported name counts.
"""

import ast
import inspect
import sys
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from penstock.contract.modules import ENGINE, Module, Modules
from penstock.contract.names import Chain, uses
from penstock.contract.normal_form import normal_form

DYNAMIC = ("import_module", "__import__")


class CodeReach:
    """The code that was reached so far.

    `forms` is what counts of it: "module:name" -> normal forms, "module:import name" -> what is imported.
    """

    def __init__(self, modules: Modules) -> None:
        self.forms: dict[str, list[Any]] = {}
        self._modules = modules
        self._wanted: dict[Module, set[str]] = {}
        self._taken: set[tuple[Module, int]] = set()
        self._followed: set[tuple[Module, Chain]] = set()

    def take(self, module: Module, name: str) -> None:
        """Reach one name of a module, or with an empty name all of it."""
        if name in self._wanted.setdefault(module, set()):
            return
        self._wanted[module].add(name)
        if module.bytes:
            self.forms[f"{module.name}:"] = [sha256(module.bytes).hexdigest()]
        self._take_statements(module)
        if name and name not in module.bound:
            for target in module.imports.get("*", ()) if name not in module.imports else ():
                other = self._modules.get(target.module)
                if other is not None and (name in other.bound or {name, "*"} & set(other.imports)):
                    self.follow(other, {(name,)})

    def follow(self, module: Module, chains: set[Chain] | frozenset[Chain]) -> None:
        """Reach what names used in a module mean."""
        for chain in sorted(chains):
            if (module, chain) in self._followed:
                continue
            self._followed.add((module, chain))
            name, rest = chain[0], chain[1:]
            self.take(module, name)
            if targets := module.imports.get(name):
                self.forms[f"{module.name}:import {name}"] = sorted(str(target) for target in targets)
                for target in targets:
                    other, inner = self._modules.resolve(target, rest) or (None, ())
                    if other is not None and inner:
                        self.follow(other, {inner})
                    elif other is not None:
                        self.take(other, "")

    def expression(self, module: Module, node: ast.expr) -> None:
        """Reach what an expression of a module uses, and let it count itself."""
        self.forms.setdefault(f"{module.name}:<lambda>", []).append(normal_form(node, module.origin))
        self.follow(module, uses(node))

    def _take_statements(self, module: Module) -> None:
        """Take the statements that make, or may change, what is wanted of a module."""
        wanted = self._wanted[module]
        for at, names in enumerate(module.names):
            changed = names.changes & wanted or any(self._is_foreign(module, chain) for chain in names.calls)
            if (module, at) in self._taken or not ("" in wanted or names.binds & wanted or changed):
                continue
            self._taken.add((module, at))
            statement = module.statements[at]
            if (form := normal_form(ast.Module([statement], []), module.origin)) == ["Module"]:
                continue
            for name in sorted(names.binds) or [""]:
                self.forms.setdefault(f"{module.name}:{name}", []).append(form)
            self.follow(module, names.uses)
            self._imported_by_name(statement)

    def _is_foreign(self, module: Module, chain: Chain) -> bool:
        """Whether a call is one of another package, which may change anything: `numpy.seterr(all="raise")`."""
        targets = module.imports.get(chain[0], ())
        return any(self._modules.get(target.module) is None for target in targets)

    def _imported_by_name(self, statement: ast.stmt) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in DYNAMIC and (module := self._modules.get(str(node.args[0].value))):
                    self.take(module, "")


def code_of(function: Callable[..., Any]) -> dict[str, list[Any]]:
    """What counts of the code that a function runs, by "module:name"."""
    if isinstance(function, partial):
        return code_of(function.func) | {"arguments": [repr(function.args), repr(function.keywords)]}
    modules = Modules(function.__module__)
    module = modules.get(function.__module__)
    if module is None:
        return _elsewhere(function)
    reached = CodeReach(modules)
    name = getattr(function, "__qualname__", "")
    if name in module.bound and getattr(sys.modules.get(function.__module__), name, None) is function:
        reached.follow(module, {(name,)})
    elif name == "<lambda>" and len(found := _lambdas(module, function.__code__.co_firstlineno)) == 1:
        reached.expression(module, found[0])
    else:  # made by a call: what it was made from can be anything in its module
        reached.take(module, "")
    return reached.forms


def _elsewhere(function: Callable[..., Any]) -> dict[str, list[Any]]:
    """What counts of a function of the engine: its name. Of one whose module cannot be found, as in a script: all of
    the file that it stands in."""
    name = f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    if function.__module__.partition(".")[0] == ENGINE:
        return {"": [name]}
    source = Path(inspect.getsourcefile(function) or "").read_text(encoding="utf-8")
    return {"": [name, normal_form(ast.parse(source))]}


def _lambdas(module: Module, line: int) -> list[ast.Lambda]:
    nodes = (node for statement in module.statements for node in ast.walk(statement))
    return [node for node in nodes if isinstance(node, ast.Lambda) and node.lineno == line]
