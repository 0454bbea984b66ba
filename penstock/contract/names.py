"""Which names a statement takes from its module, which it binds there, and which it may change."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

Chain = tuple[str, ...]
"""A dotted name, `numpy.linalg.norm`, cut at the first thing that is no attribute."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Names(NamedTuple):
    """What one statement of a module has to do with the module's names."""

    uses: frozenset[Chain]
    binds: frozenset[str]
    changes: frozenset[str]
    """Names whose values it may change without binding them: `TABLE["a"] = 1`, `TABLE.update(more)`, `fill(TABLE)`."""
    calls: frozenset[Chain]
    """What a statement calls that is nothing but a call, for its effect."""


def names_of(statement: ast.stmt) -> Names:
    """The names of a statement at the top of a module."""
    changes: set[str] = set()
    calls: set[Chain] = set()
    for node in _outside_functions(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            changes.update(_root(node))
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            changes |= {chain[0] for chain in uses(node.value)}
            if isinstance(node.value, ast.Call):
                calls |= {chain for chain in [_chain(node.value.func)] if chain}
    return Names(frozenset(uses(statement)), frozenset(_bound(statement)), frozenset(changes), frozenset(calls))


def uses(node: ast.AST) -> set[Chain]:
    """The names that are read in `node` and not bound by a function or comprehension inside it."""
    if isinstance(node, ast.Attribute | ast.Name) and (chain := _chain(node)):
        return {chain} if isinstance(node.ctx, ast.Load) or len(chain) > 1 else set()
    found: set[Chain] = set()
    if isinstance(node, _FUNCTIONS):
        outside = [*node.args.defaults, *(one for one in node.args.kw_defaults if one)]
        outside += node.decorator_list if not isinstance(node, ast.Lambda) else []
        for one in outside:
            found |= uses(one)
        body: list[ast.AST] = [*node.body] if isinstance(node.body, list) else [node.body]
        return found | _free(body, {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)})
    if isinstance(node, _COMPREHENSIONS):
        return _free(list(ast.iter_child_nodes(node)), set())
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.AnnAssign) and child is node.annotation):
            found |= uses(child)
    if isinstance(node, ast.ClassDef):  # there, what annotates may be read
        found |= {chain for one in node.body if isinstance(one, ast.AnnAssign) for chain in uses(one.annotation)}
    if isinstance(node, ast.AugAssign) and (chain := _chain(node.target)):
        found.add(chain)
    return found


def _free(body: list[ast.AST], bound: set[str]) -> set[Chain]:
    """The names read in a scope, without those that the scope binds itself."""
    outer = {name for one in _scope(body) if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names}
    for one in body:
        bound |= set(_bound(one))
    found: set[Chain] = set()
    for one in body:
        found |= uses(one)
    return {chain for chain in found if chain[0] not in bound - outer}


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that are bound in the scope of `node`. Imports are not: what they name is looked up by the module."""
    for one in _scope([node]):
        if isinstance(one, _DEFINITIONS):
            yield one.name
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del):
            yield one.id
        elif isinstance(one, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and one.name:
            yield one.name
        elif isinstance(one, ast.MatchMapping) and one.rest:
            yield one.rest


def _scope(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope, and of no scope inside it; a definition is one node."""
    for node in nodes:
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda, *_COMPREHENSIONS)):
            yield from _scope(list(ast.iter_child_nodes(node)))


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported."""
    if not isinstance(node, _FUNCTIONS):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def _chain(node: ast.AST) -> Chain:
    """The dotted name that an expression is, empty if it is none."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _chain(node.value)):
        return (*before, node.attr)
    return ()


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
