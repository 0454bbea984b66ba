"""The digest of a contract: all that training and serving must agree on, and nothing else."""

import ast
import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.contract.code import code_of
from penstock.contract.request_types import choices, plain_types

if TYPE_CHECKING:
    from penstock.contract.contract import Column, Contract, Lookup, Output


def digest(contract: "Contract") -> str:
    """SHA-256 of request, lookups, features, output, and the code that the features run, wherever it stands.

    Descriptions, units, budgets, comments and docstrings do not count. It is the same in every version of Python.
    """
    declared = {
        "model": contract.model,
        "request": _request(contract.request),
        "entity": contract.entity,
        "lookups": [_lookup(lookup) for lookup in contract.lookups],
        "features": [(feature.name, feature.kind) for feature in contract.features],
        "output": _output(contract.output),
        "asked_at": contract.asked_at,
        "code": _code(contract.compute),
    }
    if contract.zone != "UTC":
        declared["zone"] = contract.zone
    return hashlib.sha256(msgspec.json.encode(declared, order="deterministic")).hexdigest()


def former_digest(contract: "Contract") -> str:
    """The digest as it was computed up to version 0.1.0: by it the releases of then are known."""
    declared = {
        "model": contract.model,
        "request": msgspec.json.schema(contract.request),
        "entity": contract.entity,
        "lookups": [
            _FormerLookup(*(getattr(lookup, name) for name in _FormerLookup.__struct_fields__))
            for lookup in contract.lookups
        ],
        "features": [(feature.name, feature.kind) for feature in contract.features],
        "output": _FormerOutput(*(getattr(contract.output, name) for name in _FormerOutput.__struct_fields__)),
        "asked_at": contract.asked_at,
        "code": _former_code(contract.compute),
    }
    return hashlib.sha256(msgspec.json.encode(declared, order="deterministic")).hexdigest()


class _FormerOutput(msgspec.Struct):
    """The fields that an output had up to version 0.1.0, of which the former digest is made."""

    name: str
    kind: str
    classes: tuple[str, ...]
    unit: str


def _output(output: "Output") -> list[Any]:
    made: list[Any] = [output.name, output.kind, output.classes]
    if output.scores:
        made.append("scores")
    return [*made, [value.name for value in output.values]] if output.values else made


def _lookup(lookup: "Lookup") -> dict[str, Any]:
    made = {
        "name": lookup.name,
        "table": lookup.table,
        "key": lookup.key,
        "columns": [(column.name, column.kind) for column in lookup.columns],
        "as_of": lookup.as_of,
        "missing": lookup.missing,
    }
    return made if lookup.max_age is None else made | {"max_age_us": lookup.oldest}


class _FormerLookup(msgspec.Struct):
    """The fields of a lookup of then, in their order."""

    name: str
    table: str
    key: dict[str, str]
    columns: tuple["Column", ...]
    as_of: tuple[str, str] | None
    missing: str
    budget_ms: float


def _request(request: type[msgspec.Struct]) -> list[Any]:
    """The fields of a request with their types, bounds and defaults."""
    return [
        [field.encode_name, sorted(map(_type, plain_types(field.type))), _default(field)]
        for field in msgspec.structs.fields(request)
    ]


def _type(member: msgspec.inspect.Type) -> str:
    bounds = {name: getattr(member, name) for name in member.__struct_fields__}
    if isinstance(member, msgspec.inspect.EnumType):
        bounds = {"values": choices(member)}
    known = {name: value for name, value in bounds.items() if value is not None}
    return msgspec.json.encode([type(member).__name__, known], order="deterministic").decode()


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return ["made by", getattr(field.default_factory, "__qualname__", "")]
    return [] if field.default is msgspec.NODEFAULT else [msgspec.to_builtins(field.default)]


@cache
def _code(function: Callable[..., Any]) -> dict[str, list[Any]]:
    return code_of(function)


@cache
def _former_code(function: Callable[..., Any]) -> str:
    """The source of the function's module without comments and docstrings, as this version of Python writes it."""
    module = inspect.getmodule(function)
    tree = ast.parse(inspect.getsource(module if module is not None else function))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
