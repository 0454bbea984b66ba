"""What every class of declarations does when it is called: each argument that is misspelt, missing or of a wrong type
is named, all at once."""

import difflib
import functools
import inspect
import os
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from penstock.errors import ContractError, PenstockError, demand_none

Declare = TypeVar("Declare", bound=Callable[..., Any])
LONGEST_SPAN = timedelta(days=36_525)
ENGINE, PYTHON = f"{Path(__file__).parents[1]}{os.sep}", f"{Path(os.__file__).parent}{os.sep}"
"""The folders of the code that no project has written."""
WORDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    timedelta: "a timedelta, such as timedelta(days=30)",
    type(None): "None",
}


class DeclarationType(type):
    """The type of a declaration that is a dataclass."""

    if not TYPE_CHECKING:

        def __call__(cls, *arguments, **named):  # noqa: D102
            demand_arguments(cls, arguments, named)
            return super().__call__(*arguments, **named)


class DeclaredStruct(msgspec.StructMeta):
    """The type of a declaration that is a Struct."""

    if not TYPE_CHECKING:

        def __call__(cls, *arguments, **named):  # noqa: D102
            demand_arguments(cls, arguments, named)
            return super().__call__(*arguments, **named)


def declares(function: Declare) -> Declare:
    """A function that makes a declaration, and names what is wrong with its arguments as the declaration does."""

    @functools.wraps(function)
    def checked(*arguments: Any, **named: Any) -> Any:
        demand_arguments(function, arguments, named)
        return function(*arguments, **named)

    return cast("Declare", checked)


def demand_arguments(declaration: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """ContractError, or several as one error, for what a declaration is not called with.

    Every argument has to be one of its fields, every field without a default has to be there, and each has to be of its
    field's type.
    """
    parameters = _parameters(declaration)
    fields, faults = list(parameters), list[PenstockError]()
    given = {**dict(zip(fields, arguments, strict=False)), **named}
    thing = _thing(declaration, given)
    if len(arguments) > len(fields):
        most = f"at most {len(fields)} values"
        faults.append(ContractError(thing, expected=most, found=f"{len(arguments)}", todo="Name each by its field."))
    meant: set[str] = set()
    for name in sorted(given.keys() - set(fields)):
        near = difflib.get_close_matches(name, set(fields) - given.keys(), 1)
        meant.update(near)
        todo = f"Did you mean {near[0]}?" if near else f"Its fields are {', '.join(fields)}."
        faults.append(ContractError(thing, expected="fields that it has", found=repr(name), todo=todo))
    for name, parameter in parameters.items():
        if name not in given.keys() | meant and parameter.default is inspect.Parameter.empty:
            faults.append(ContractError(thing, expected=f"the field {name!r}", found="none", todo=f"Add `{name}=`."))
    for name, wanted in _types(declaration).items():
        if name in given and not fits(given[name], wanted):
            todo = f"Write a function, such as `{name}=lambda: …`." if get_origin(wanted) is Callable else ""
            of, found = f"{name} of {thing}", shown(given[name])
            faults.append(ContractError(of, expected=_words(wanted), found=found, todo=todo))
    demand_none(faults)


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a type, as far as that can be seen of it."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in COMPOUND:
        return COMPOUND[origin].fits(value, inner)
    if isinstance(value, float) and value != value:  # noqa: PLR0124  # NaN is true of no bound
        return False
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else int | float) and not isinstance(value, bool)
    return wanted is Any or isinstance(value, wanted)


def call_faults(thing: str, function: Callable[..., Any], expected: str, arguments: int) -> list[PenstockError]:
    """A fault where a function is a generator or async, or cannot be called with that number of arguments."""
    found = ""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        found = "an async function"
    elif inspect.isgeneratorfunction(function):
        found = "a generator, which has a `yield`"
    else:
        try:
            inspect.signature(function).bind(*range(arguments))
        except TypeError as error:
            found = f"{getattr(function, '__name__', 'a function')}{inspect.signature(function)}: {error}"
        except ValueError:  # one in C, without a signature
            pass
    return [ContractError(thing, expected=expected, found=found)] if found else []


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is unknown."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(names) or 'none'}."


def shown(value: Any, most: int = 60) -> str:
    """A value for people: its source where that is short."""
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text}" if len(text) <= most else f"{type(value).__name__} {text[:most]}…"


def raised(error: BaseException) -> str:
    """An error of the project's own code, with its file and line: of what that calls it is the caller that errs."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((one for one in reversed(frames) if not _is_foreign(one.filename)), frames[-1])
    file = Path(frame.filename)
    return f"{type(error).__name__}: {error}, in {file.parent.name}/{file.name}, line {frame.lineno}"


def _is_foreign(file: str) -> bool:
    """Whether a file is of the engine, a library or Python."""
    return file.startswith((ENGINE, PYTHON, "<")) or "site-packages" in file or "dist-packages" in file


def span_faults(thing: str, found: timedelta, *, above_zero: bool = False) -> list[PenstockError]:
    """A fault where a span of time is below zero, or reaches beyond the end of the calendar."""
    if timedelta(0) <= found <= LONGEST_SPAN and (found or not above_zero):
        return []
    least = "above zero" if above_zero else "of zero or more"
    return [ContractError(thing, expected=f"a timedelta {least}, and at most 100 years", found=repr(found))]


def _words(wanted: Any) -> str:
    origin = get_origin(wanted)
    return COMPOUND[origin].words(get_args(wanted)) if origin in COMPOUND else WORDS.get(wanted, _article(wanted))


def _article(wanted: Any) -> str:
    name = str(getattr(wanted, "__name__", wanted))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _plural(wanted: Any) -> str:
    known = {str: "texts", int: "whole numbers", float: "numbers", Any: "values"}
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)
        return f"{'tuples' if inner[-1] is Ellipsis else 'pairs'} of {_plural(inner[0])}"
    return known.get(wanted, getattr(wanted, "__name__", ""))


@dataclass(frozen=True)
class Compound:
    """A type that is made of others: whether a value is of it, and what it is called."""

    fits: Callable[[Any, tuple[Any, ...]], bool]
    words: Callable[[tuple[Any, ...]], str]


def _is_tuple(value: Any, inner: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if inner[-1] is Ellipsis:
        return all(fits(one, inner[0]) for one in value)
    return len(value) == len(inner) and all(map(fits, value, inner))


def _is_sequence(value: Any, inner: tuple[Any, ...]) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return listed and all(fits(one, inner[0]) for one in value)


def _is_mapping(value: Any, inner: tuple[Any, ...]) -> bool:
    return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())


def _tuple_words(inner: tuple[Any, ...]) -> str:
    if inner[-1] is Ellipsis:
        return f"a tuple of {_plural(inner[0])}, such as (x,)"
    return f"a pair of {_plural(inner[0])}"


_UNION = Compound(
    lambda value, inner: any(fits(value, one) for one in inner), lambda inner: " or ".join(map(_words, inner))
)
_MAPPING = Compound(_is_mapping, lambda inner: f"a dict of {_plural(inner[0])} to {_plural(inner[1])}")
COMPOUND: Mapping[Any, Compound] = {
    Union: _UNION,
    types.UnionType: _UNION,
    Literal: Compound(lambda value, inner: value in inner, lambda inner: " or ".join(map(repr, inner))),
    type: Compound(
        lambda value, inner: isinstance(value, type) and issubclass(value, inner[0]),
        lambda inner: f"a class that is a {inner[0].__name__}",
    ),
    tuple: Compound(_is_tuple, _tuple_words),
    Sequence: Compound(_is_sequence, lambda inner: f"a sequence of {_plural(inner[0])}, such as (x,)"),
    dict: _MAPPING,
    Mapping: _MAPPING,
    Callable: Compound(lambda value, _: callable(value), lambda _: "a function"),
}


@cache
def _parameters(declaration: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(vars(declaration).get("__init__", declaration)).parameters)
    return {name: parameter for name, parameter in found.items() if name != "self"}


@cache
def _types(declaration: Callable[..., Any]) -> dict[str, Any]:
    return {
        name: kind
        for name, kind in get_type_hints(declaration).items()
        if not name.startswith("_") and name != "return"
    }


def _thing(declaration: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """What the declaration is called: by its own name where it has one."""
    contract = given.get("contract")
    name = given.get("name", given.get("model", getattr(contract, "model", "")))
    kind = {
        "Model": "model",
        "ReplicatedTable": "table",
        "Lookup": "lookup",
        "Preparation": "preparation",
        "plain_contract": "Contract",
    }
    own = str(getattr(declaration, "__name__", declaration))
    said = kind.get(own, own)
    return f"{said} {name!r}" if isinstance(name, str) and name else said
