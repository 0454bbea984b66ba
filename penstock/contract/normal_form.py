"""Python source in a form that says what the code does, and is the same in every version of Python.

Left out: comments, docstrings, layout, annotations of functions and variables, and the arguments that only describe.
This module needs nothing but `ast`.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Origin = Callable[[ast.expr], str]
"""Returns the full name of what an expression names where it is imported: "msgspec.Meta"; otherwise an empty text."""
NOWHERE: Origin = lambda _: ""  # noqa: E731

_IN_PENSTOCK = "penstock.contract.contract."
DESCRIBING: Mapping[str, Mapping[str, int | None]] = {
    "msgspec.Meta": {"description": None, "title": None, "examples": None, "extra_json_schema": None},
    f"{_IN_PENSTOCK}Feature": {"meaning": 2},
    f"{_IN_PENSTOCK}Column": {"unit": 2},
    f"{_IN_PENSTOCK}Output": {"unit": 3},
    f"{_IN_PENSTOCK}Value": {"unit": 1},
    f"{_IN_PENSTOCK}Lookup": {"budget_ms": 6},
    f"{_IN_PENSTOCK}Contract": {"purpose": 1, "retired": 11},
}
"""Call -> the arguments that describe, with their place among the positional ones."""
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_params", "type_ignores", "simple"}
_WITHOUT_ANNOTATION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.arg)
_BODIES = ("body", "orelse", "finalbody")


def normal_form(node: ast.AST, origin: Origin = NOWHERE, *, in_class: bool = False) -> Any:
    """A syntax tree as lists and texts. Empty fields are left out, because newer versions have more of them."""
    if isinstance(node, ast.Constant):
        return ["Constant", _constant(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", [normal_form(part, origin) for part in _merged(node.values)]]
    if isinstance(node, ast.AnnAssign) and not in_class:  # the annotation of a variable has no effect
        node = ast.Assign([node.target], node.value or ast.Constant(None))
    if isinstance(node, ast.Call):
        node = _without_description(node, origin)
    inside = isinstance(node, ast.ClassDef)
    made: list[Any] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _LEFT_OUT or (name in ("annotation", "returns") and isinstance(node, _WITHOUT_ANNOTATION)):
            continue
        kept = value
        if name in _BODIES and isinstance(value, list):
            kept = [statement for statement in value if not _is_idle(statement, in_class=inside)]
        form = _value(kept, origin, in_class=inside)
        if form is not None and form != [] and (name, form) != ("is_async", "0x0"):
            made.append([name, form])
    return made


def _value(value: Any, origin: Origin, *, in_class: bool) -> Any:
    if isinstance(value, list):
        return [_value(one, origin, in_class=in_class) for one in value]
    if isinstance(value, ast.AST):
        return normal_form(value, origin, in_class=in_class)
    return value if value is None or isinstance(value, str) else _constant(value)


def _is_idle(statement: ast.stmt, *, in_class: bool) -> bool:
    """Whether a statement does nothing: a docstring or another constant, `pass`, a bare annotation."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None and not in_class
    return isinstance(statement, ast.Pass)


def _constant(value: Any) -> str:
    """A constant as text: whole numbers of any length, and texts in ASCII, as no version's Unicode tables matter."""
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return ascii(value)


def _merged(parts: list[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string. Which neighbouring texts the parser joins depends on the version."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)


def _without_description(call: ast.Call, origin: Origin) -> ast.Call:
    places = DESCRIBING.get(origin(call.func))
    if places is None:
        return call
    keywords = [one for one in call.keywords if one.arg not in places]
    arguments = [ast.Constant("") if at in places.values() else one for at, one in enumerate(call.args)]
    while arguments and len(arguments) - 1 in places.values():
        arguments.pop()
    return ast.Call(call.func, arguments, keywords)
