"""The Python of a new model's contract, laid out as the formatter would."""

import itertools
from collections.abc import Sequence

from penstock.scaffold.literals import exploded, number_text, plain
from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan
from penstock.scaffold.names import LONGEST_LINE, call, class_name, literal, sequence, shortened

DAYS = '''

def days_between(later: Any, earlier: Any) -> Any:
    """Days from one time to another, NaN where one is missing."""
    return (later - earlier) / np.timedelta64(1, "D")
'''
HOUR = '''

def hour(time: Any) -> Any:
    """The hour of the day, with its minutes as a fraction."""
    return (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
'''
WEEKDAY = '''

def weekday(time: Any) -> Any:
    """The day of the week, 0 is Monday."""
    days = time.astype("datetime64[D]").astype(np.int64) + 3
    return np.where(np.isnat(time), np.nan, days % 7)
'''


def contract(plan: ModelPlan) -> str:
    """model_tools/<model>.py."""
    request = class_name(plan.model)
    every = [*plan.fields, plan.asked_at]
    times = sorted({f.storage.python for f in every if f.is_time})
    imported = ["Columns", "Contract", "Feature", "Output"]
    imported += ["Column", "Lookup"] if plan.lookups else []
    made = {feature.made for feature in plan.features}
    functions = [text for name, text in (("days_between", DAYS), ("hour", HOUR), ("weekday", WEEKDAY)) if name in made]
    features = [_feature_value(feature.name, feature.made, feature.arguments) for feature in plan.features]
    declared = [
        call("Feature", [literal(f.name), literal(f.kind), *([literal(f.meaning)] if f.meaning else [])], 4, around=1)
        for f in plan.features
    ]
    lookups = [_lookup(lookup, plan.asked_at.name) for lookup in plan.lookups]
    output = plan.outcome
    classes = [f"classes={sequence([literal(c) for c in output.classes], 4, around=70)}"] if output.classes else []
    asked = [f"asked_at={literal(plan.asked_at.name)}"] if plan.asked_at.name != "asked_at" else []
    arguments = [
        f"model={literal(plan.model)}",
        f"purpose={literal(_purpose(plan))}",
        f"request={request}",
        f"entity={sequence([literal(name) for name in plan.key], 4, around=8)}",
        f"lookups={exploded('', lookups, 4)}" if lookups else "lookups=()",
        "features=FEATURES",
        "compute=features",
        "output="
        + call("Output", [f"name={literal(output.field.name)}", f'kind="{output.kind}"', *classes], 4, around=8),
        *asked,
    ]
    return "".join(
        [
            f'"""The contract of `{plan.model}`: what is asked, and the features that are made of it."""\n\n',
            f"from datetime import {', '.join(times)}\nfrom typing import Annotated, Any\n\n",
            "import msgspec\nimport numpy as np\n\n",
            f"from penstock.contract.contract import {', '.join(sorted(imported))}\n\n\n",
            f"class {request}(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):\n",
            f'    """One row of {plain(plan.source.said)}, as it is known when it is asked about."""\n\n',
            *(f"    {_request_field(field)}\n" for field in plan.fields),
            f"    {_asked_field(plan.asked_at)}\n\n\n",
            f"FEATURES = {exploded('', declared, 0)}\n",
            *functions,
            "\n\ndef features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:\n",
            '    """The feature vectors of n requests with their lookups."""\n    return {\n',
            *(f"        {feature},\n" for feature in features),
            "    }\n\n\n",
            f"CONTRACT = {exploded('Contract', arguments, 0)}\n",
        ]
    )


def _feature_value(name: str, made: str, arguments: Sequence[str]) -> str:
    value = call(made, list(arguments), 8, around=len(name) + 5) if arguments else made
    return f'"{name}": {value}'


def _request_field(field: Field) -> str:
    ending = " | None = None" if field.optional else ""
    notes = [_bounds_of_request(field), _examples(field)]
    for chosen in (notes, notes[:1], []):
        inside = ", ".join(note for note in chosen if note)
        kind = field.storage.python
        line = f"{field.name}: Annotated[{kind}, msgspec.Meta({inside})]{ending}" if inside else ""
        if line and len(line) + 4 <= LONGEST_LINE:
            return line
    return f"{field.name}: {field.storage.python}{ending}"


def _bounds_of_request(field: Field) -> str:
    if field.storage.python == "datetime":
        return f"tz={field.storage.shape == 'INSTANT'}"
    if field.storage.python == "str":
        return f"max_length={max(16, 2 ** (2 * field.column.longest).bit_length())}"
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


def _asked_field(asked: Field) -> str:
    notes = ["tz=True", 'description="When it is asked; now if absent."']
    for chosen in (notes, notes[:1]):
        line = f"{asked.name}: Annotated[datetime, msgspec.Meta({', '.join(chosen)})] | None = None"
        if len(line) + 4 <= LONGEST_LINE:
            break
    return line


def _lookup(lookup: LookupPlan, asked_at: str) -> str:
    key = ", ".join(f"{literal(own)}: {literal(field)}" for own, field in lookup.key.items())
    columns = [f"Column({literal(f.name)}, {literal(f.storage.kind)})" for f in lookup.columns]
    as_of = [f"as_of=({literal(lookup.known_at.name)}, {literal(asked_at)})"] if lookup.known_at else []
    if len(key) > 100:
        key = "".join(f"\n                {part}," for part in key.split(", ")) + "\n            "
    parts = [
        f"name={literal(lookup.name)}",
        f"table={literal(lookup.table)}",
        f"key={{{key}}}",
        *as_of,
        f"columns={sequence(columns, 12, around=9)}",
    ]
    return exploded("Lookup", parts, 8)


def _purpose(plan: ModelPlan) -> str:
    outcome = shortened(plain(plan.outcome.field.column.name), 30)
    key = shortened(", ".join(plan.key), 40)
    if plan.outcome.kind == "regressor":
        return f"The {outcome} to expect, by {key}."
    return f"The probability of each value of {outcome}, by {key}."
