"""What a contract and its parts may not say: every fault of one at once."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from penstock.contract.declaring import call_faults, span_faults
from penstock.contract.request_types import Kind, kind_of, plain_types
from penstock.errors import ContractError, PenstockError

if TYPE_CHECKING:
    from penstock.contract.contract import Contract, Lookup, Output

LONGEST_NAME = 63
"""Bytes of a name in Postgres."""


def lookup_faults(lookup: "Lookup") -> list[PenstockError]:
    """The faults of a lookup by itself."""
    thing = f"lookup {lookup.name!r}"
    faults = [*name_faults(f"table of {thing}", lookup.table), *lookup_name_faults(thing, lookup.name)]
    faults += _empty(f"key of {thing}", lookup.key, 'a column of the table and its field, such as {"sku": "product"}')
    faults += _empty(f"columns of {thing}", lookup.columns, 'at least one, such as (Column("price", "number"),)')
    faults += twice(f"columns of {thing}", [column.name for column in lookup.columns])
    for name in dict.fromkeys([*lookup.key, *(lookup.as_of or ())[:1], *(column.name for column in lookup.columns)]):
        faults += name_faults(f"column of {thing}", name)
    if lookup.max_age is not None and (lookup.as_of is None or span_faults(thing, lookup.max_age)):
        faults.append(
            ContractError(
                thing,
                expected="a max_age of zero or more, at most 100 years, and an as_of",
                found=f"max_age {lookup.max_age}, as_of {lookup.as_of}",
                todo="An age is that of the row's as_of column at the asking time.",
            )
        )
    if lookup.budget_ms <= 0:
        faults.append(
            ContractError(f"budget_ms of {thing}", expected="milliseconds above 0", found=str(lookup.budget_ms))
        )
    return faults


def lookup_name_faults(thing: str, name: str) -> list[PenstockError]:
    """The faults of a lookup's name: a dot stands between it and the column."""
    return name_faults(f"name of {thing}", name, lambda text: "." not in text, f"1 to {LONGEST_NAME} bytes, no dot")


def output_faults(output: "Output") -> list[PenstockError]:
    """The faults of an output by itself."""
    thing = f"classes of output {output.name!r}"
    if output.kind == "regressor" and output.classes:
        found = ", ".join(output.classes)
        return [ContractError(thing, expected="none of a regressor", found=found, todo="Leave them out.")]
    if len(output.classes) == 1:
        return [ContractError(thing, expected="at least two", found=f"only {output.classes[0]!r}")]
    return [*twice(thing, output.classes), *_scores_faults(output), *_values_faults(output)]


def _scores_faults(output: "Output") -> list[PenstockError]:
    if not output.scores or output.kind == "classifier":
        return []
    return [ContractError(f"scores of output {output.name!r}", expected="a classifier", found=f"a {output.kind}")]


def _values_faults(output: "Output") -> list[PenstockError]:
    thing, names = f"values of output {output.name!r}", [value.name for value in output.values]
    if not names:
        return []
    if output.kind != "regressor":
        return [ContractError(thing, expected="none of a classifier", found=", ".join(names), todo="Leave them out.")]
    faults = twice(thing, names)
    if len(names) == 1:
        todo = "Leave out `values`: the output itself has a name and a unit."
        faults.append(ContractError(thing, expected="at least two", found=f"only {names[0]!r}", todo=todo))
    if output.unit:
        todo = f"Write `Value({names[0]!r}, {output.unit!r})`."
        faults.append(
            ContractError(f"unit of output {output.name!r}", expected="that of each value", found="one", todo=todo)
        )
    return faults + [fault for name in names for fault in name_faults(f"value of output {output.name!r}", name)]


def contract_faults(contract: "Contract") -> list[PenstockError]:
    """The faults of a contract: its request, and what names fields of the request."""
    thing, request = f"model {contract.model!r}", contract.request
    faults: list[PenstockError] = list(name_faults("model of Contract", contract.model))
    if not request.__struct_config__.forbid_unknown_fields:
        faults.append(
            ContractError(
                f"request of {thing}",
                expected="forbid_unknown_fields=True",
                found=f"{request.__name__} without it",
                todo="A misspelt field has to be refused rather than ignored.",
            )
        )
    config = request.__struct_config__
    odd = [word for word, there in (("tag", config.tag is not None), ("array_like=True", config.array_like)) if there]
    if odd:
        expected, found = "a Struct that is a JSON object of its fields", f"{request.__name__} with {', '.join(odd)}"
        faults.append(ContractError(f"request of {thing}", expected=expected, found=found, todo="Leave it out."))
    kinds: dict[str, Kind | None] = {}
    for field in msgspec.structs.fields(request):
        try:
            kinds[field.name] = kind_of(field.type)
            faults += _field_faults(thing, field)
        except PenstockError as error:
            kinds[field.name] = None
            faults.append(_of_field(thing, field.name, error.expected, error.found, error.todo))
        except Exception as error:  # msgspec's own words for a type that it cannot hold
            kinds[field.name] = None
            faults.append(_of_field(thing, field.name, "a type that JSON holds", str(error), "Give it a plain type."))

    def demand_field(of: str, name: str, kinds_wanted: Sequence[Kind] = ()) -> None:
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            todo = f"{hint}Use one of {', '.join(sorted(kinds))}."
            faults.append(ContractError(of, expected=f"a field of {request.__name__}", found=repr(name), todo=todo))
        elif kinds_wanted and kinds[name] not in (None, *kinds_wanted):
            faults.append(
                ContractError(of, expected=f"a {' or '.join(kinds_wanted)}", found=f"{name!r}, a {kinds[name]}")
            )

    faults += _empty(f"entity of {thing}", contract.entity, 'the fields of what is asked about, such as ("customer",)')
    for name in contract.entity:
        demand_field(f"entity of {thing}", name)
    demand_field(f"asked_at of {thing}", contract.asked_at)
    if kinds.get(contract.asked_at) == "number":
        found = f"{contract.asked_at!r}, a number"
        faults.append(ContractError(f"asked_at of {thing}", expected="a date or time", found=found))
    expected = "a function of the columns, such as `def features(columns):`, that returns a dict"
    faults += call_faults(f"compute of {thing}", contract.compute, expected, 1)
    for lookup in contract.lookups:
        of = f"lookup {lookup.name!r} of {thing}"
        for name in lookup.key.values():
            demand_field(f"key of {of}", name)
        if lookup.as_of:
            demand_field(f"as_of of {of}", lookup.as_of[1], ("time",))
    faults += twice(f"lookups of {thing}", [lookup.name for lookup in contract.lookups])
    faults += twice(f"entity of {thing}", contract.entity)
    if asked := [repr(name) for name in contract.retired if name in kinds]:
        expected, todo = "names that are no fields any more", f"Take them out of {request.__name__}, or of `retired`."
        faults.append(ContractError(f"retired of {thing}", expected=expected, found=", ".join(asked), todo=todo))
    faults += twice(f"features of {thing}", [feature.name for feature in contract.features])
    faults += _zone_faults(f"zone of {thing}", contract.zone)
    return faults


def _zone_faults(of: str, zone: str) -> list[PenstockError]:
    if zone == "UTC":
        return []
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        near = difflib.get_close_matches(zone, available_timezones(), 1)
        todo = f"Did you mean {near[0]}?" if near else ""
        return [ContractError(of, expected="a time zone, such as 'Europe/Berlin'", found=repr(zone), todo=todo)]
    return []


def twice(thing: str, names: Iterable[str]) -> list[PenstockError]:
    """A fault where a name is there more than once."""
    more = [repr(name) for name, count in Counter(names).items() if count > 1]
    return [ContractError(thing, expected="each name once", found=f"{', '.join(more)} twice")] if more else []


def name_faults(
    thing: str, name: str, allowed: Callable[[str], bool] = bool, expected: str = ""
) -> list[PenstockError]:
    """A fault where a name cannot be one of Postgres, or is not allowed for another reason, which `expected` says."""
    if not name or "\0" in name or len(name.encode()) > LONGEST_NAME or not allowed(name):
        words = expected or f"1 to {LONGEST_NAME} bytes"
        return [ContractError(thing, expected=words, found=repr(name), todo="Rename it.")]
    return []


def _empty(thing: str, value: Any, expected: str) -> list[PenstockError]:
    return [] if value else [ContractError(thing, expected=expected, found="none")]


def _field_faults(thing: str, field: msgspec.structs.FieldInfo) -> list[PenstockError]:
    faults: list[PenstockError] = []
    if field.encode_name != field.name:
        faults.append(
            _of_field(
                thing,
                field.name,
                "one name in JSON and in Python",
                f"{field.encode_name!r} in JSON, by `rename` or `name`",
                "Name the field as callers do: the warehouse query, lookups and features use that name too.",
            )
        )
    for member in plain_types(field.type):
        low = [getattr(member, name, None) for name in ("ge", "gt", "min_length")]
        high = [getattr(member, name, None) for name in ("le", "lt", "max_length")]
        least, most = ([bound for bound in found if bound is not None] for found in (low, high))
        if least and most and least[0] > most[0]:
            found = f"at least {least[0]} and at most {most[0]}"
            faults.append(
                _of_field(thing, field.name, "bounds between which there is a value", found, "Exchange them.")
            )
    if not field.required:
        made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        try:
            msgspec.convert(msgspec.to_builtins(made), field.type)
        except msgspec.ValidationError as error:
            found = f"{made!r}: {str(error)[:1].lower()}{str(error)[1:]}"
            todo = "A request without the field would have a value that no request may have."
            faults.append(_of_field(thing, field.name, "a default that the field accepts", found, todo))
    return faults


def _of_field(thing: str, name: str, expected: str, found: str, todo: str) -> ContractError:
    return ContractError(f"request field {name!r} of {thing}", expected=expected, found=found, todo=todo)
