"""The Python of a new model's contract, laid out as the formatter would."""

import itertools
from collections.abc import Collection

from penstock.scaffold.literals import exploded, number_text
from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan
from penstock.scaffold.names import LONGEST_LINE, call, class_name, literal, sequence

LISTS = {"number": "numbers", "text": "texts", "time": "times"}
"""The kind of a column -> the function that lists columns of it."""


def contract(plan: ModelPlan) -> str:
    """model_tools/<model>.py."""
    request = class_name(plan.model)
    every = [*plan.fields, plan.asked_at]
    times = sorted({f.storage.python for f in every if f.is_time})
    computed = [feature for feature in plan.features if feature.arguments]
    classes = ["Columns", "Output", *(["Lookup"] if plan.lookups else []), *(["Value"] if plan.outcome.others else [])]
    functions = {"Vectors", *(feature.made for feature in computed)}
    functions |= {LISTS[field.storage.kind] for lookup in plan.lookups for field in lookup.columns}
    returned = [f'"{one.name}": {call(one.made, list(one.arguments), 8, around=len(one.name) + 5)}' for one in computed]
    return "".join(
        [
            f'"""The contract of `{plan.model}`: what is asked, and the features that are made of it."""\n\n',
            f"from datetime import {', '.join(times)}\nfrom typing import Annotated\n\n",
            "from msgspec import Meta, Struct\n\n",
            f"{_imports({*classes, 'plain_contract'}, functions)}\n\n",
            f"class {request}(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):\n",
            *(f"    {_request_field(field)}\n" for field in plan.fields),
            f"    {plan.asked_at.name}: Annotated[datetime, Meta(tz=True)] | None = None  # now, if absent\n\n\n",
            "def features(columns: Columns) -> Vectors:\n",
            '    """The features that are computed; the others are columns as they are."""\n',
            f"    return {mapping(returned, 4, around=7)}\n\n\n",
            f"CONTRACT = {call('plain_contract', _arguments(plan, request), 0, around=11)}\n",
        ]
    )


def _arguments(plan: ModelPlan, request: str) -> list[str]:
    output = plan.outcome
    features = {feature.name for feature in plan.features}
    joined = {field for lookup in plan.lookups for field in lookup.key.values()}
    columns = [(field.name, field) for field in plan.fields]
    columns += [(f"{lookup.name}.{field.name}", field) for lookup in plan.lookups for field in lookup.columns]
    left_out = [name for name, field in columns if not field.is_time and name not in features]
    identifiers = [f.name for f in plan.fields if f.storage.kind == "number" and f.name in {*plan.key, *joined}]
    named = [literal(name) for name in left_out]
    classes = [f"classes={sequence([literal(c) for c in output.classes], 8, around=9)}"] if output.classes else []
    answered = output.field.name
    if output.others:
        answered = plan.model
        values = [call("Value", [literal(one.name)]) for one in output.fields]
        classes = [f"values={sequence(values, 8, around=8)}"]
    asked = [f"asked_at={literal(plan.asked_at.name)}"] if plan.asked_at.name != "asked_at" else []
    lookups = [_lookup(lookup, plan.asked_at.name, 8) for lookup in plan.lookups]
    joins = sequence(lookups, 4, around=9) if len(lookups) < 2 else exploded("", lookups, 4)
    return [
        literal(plan.model),
        request,
        *([f"lookups={joins}"] if lookups else []),
        f"entity={sequence([literal(name) for name in plan.key], 4, around=8)}",
        "compute=features",
        *([f"but={sequence(named, 4, around=5)}"] if left_out != identifiers else []),
        f"output={call('Output', [literal(answered), literal(output.kind), *classes], 4, around=8)}",
        *asked,
    ]


def _imports(declarations: Collection[str], functions: Collection[str]) -> str:
    """All from one module where that fits on a line; else the functions from the module that they stand in."""
    together = _imported("plain", [*declarations, *functions])
    if together.count("\n") == 1:
        return together
    return _imported("features", functions) + _imported("plain", declarations)


def _imported(module: str, names: Collection[str]) -> str:
    ordered = sorted(names, key=lambda name: (name.islower(), name))
    line = f"from penstock.contract.{module} import {', '.join(ordered)}\n"
    if len(line) <= LONGEST_LINE + 1:
        return line
    return f"from penstock.contract.{module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")\n"


def _request_field(field: Field) -> str:
    ending = " | None = None" if field.optional else ""
    notes = [_bounds_of_request(field), _examples(field)]
    for chosen in (notes, notes[:1], []):
        inside = ", ".join(note for note in chosen if note)
        kind = field.storage.python
        line = f"{field.name}: Annotated[{kind}, Meta({inside})]{ending}" if inside else ""
        if line and len(line) + 4 <= LONGEST_LINE:
            return line
    return f"{field.name}: {field.storage.python}{ending}"


def _bounds_of_request(field: Field) -> str:
    if field.storage.python == "datetime":
        return f"tz={field.storage.shape == 'INSTANT'}"
    if field.storage.python == "str":
        return f"max_length={max(16, 2 ** (2 * field.column.longest_text).bit_length())}"
    if field.storage.python not in ("int", "float"):
        return ""
    if not field.bounded:
        return f"ge={-(2**53)}, le={2**53}" if field.column.least < 0 else f"ge=0, le={2**53}"
    low, high = field.column.bounds()
    return f"ge={number_text(low)}, le={number_text(high)}"


def _examples(field: Field) -> str:
    if field.storage.kind != "text" or not field.column.values or len(field.column.values) > 20:
        return ""
    found = [literal(str(value)) for value in itertools.islice(sorted(field.column.values), 3)]
    return f"examples=[{', '.join(found)}]"


def _lookup(lookup: LookupPlan, asked_at: str, indent: int) -> str:
    pairs = [f"{literal(own)}: {literal(field)}" for own, field in lookup.key.items()]
    key = mapping(pairs, indent + 4, around=5)
    names = {function: [f.name for f in lookup.columns if f.storage.kind == kind] for kind, function in LISTS.items()}
    lists = {function: [literal(name) for name in some] for function, some in names.items() if some}
    if len(lists) > 1:
        inside = [f"*{call(function, some, indent + 8, around=2)}" for function, some in lists.items()]
        columns = call("", inside, indent + 4, around=9)
    else:
        columns = "".join(call(function, some, indent + 4, around=9) for function, some in lists.items())
    as_of = [f"as_of=({literal(lookup.known_at.name)}, {literal(asked_at)})"] if lookup.known_at else []
    table = [f"table={literal(lookup.table)}"] if lookup.table != lookup.name else []
    return call("Lookup", [literal(lookup.name), *table, f"key={key}", f"columns={columns}", *as_of], indent, around=1)


def mapping(items: list[str], indent: int, *, around: int = 0) -> str:
    """A dict on one line where it fits, else with one item per line."""
    line = "{" + ", ".join(items) + "}"
    if "\n" not in line and indent + len(line) + around <= LONGEST_LINE:
        return line
    inside = " " * (indent + 4)
    return "{\n" + "".join(f"{inside}{item},\n" for item in items) + " " * indent + "}"
