"""The Python of a new model: its contract, shapes, declarations and test, laid out as the formatter would."""

import itertools
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan
from penstock.scaffold.names import LONGEST_LINE, call, class_name, identifier, literal, sequence, shortened

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
        f"lookups={_exploded('', lookups, 4)}" if lookups else "lookups=()",
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
            f'    """One row of {_plain(plan.source.said)}, as it is known when it is asked about."""\n\n',
            *(f"    {_request_field(field)}\n" for field in plan.fields),
            f"    {_asked_field(plan.asked_at)}\n\n\n",
            f"FEATURES = {_exploded('', declared, 0)}\n",
            *functions,
            "\n\ndef features(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:\n",
            '    """The feature vectors of n requests with their lookups."""\n    return {\n',
            *(f"        {feature},\n" for feature in features),
            "    }\n\n\n",
            f"CONTRACT = {_exploded('Contract', arguments, 0)}\n",
        ]
    )


def shapes(plan: ModelPlan) -> str:
    """schemas/<model>.py."""
    outcome = plan.outcome.field
    training = [_shape_column(f.name, f.storage.shape, f) for f in plan.fields]
    training += [f'"{plan.asked_at.name}": pa.Column(INSTANT)', _outcome_shape(outcome)]
    used = {"INSTANT", outcome.storage.shape, *(f.storage.shape for f in plan.fields)}
    parts = []
    for lookup in plan.lookups:
        fields = _of_table(lookup)
        used |= {f.storage.shape for f in fields}
        parts.append((_constant(lookup), [_shape_column(f.name, f.storage.shape, f) for f in fields]))
        training += [f'"{lookup.name}.{f.name}": pa.Column({f.storage.shape}, nullable=True)' for f in lookup.columns]
    parts.append(("TRAINING_SET", training))
    text = f'"""The shapes of the tables and training sets of `{plan.model}`."""\n\nimport pandera.pandas as pa\n\n'
    text += f"from penstock.declare.shape import {', '.join(sorted(used))}\n\n"
    for name, columns in parts:
        lines = "".join(f"        {column},\n" for column in columns)
        text += f"{name} = pa.DataFrameSchema(\n    {{\n{lines}    }},\n    strict=True,\n)\n"
    return text


def declarations(plan: ModelPlan) -> str:
    """assets/<model>.py."""
    tables = [_table(lookup, place) for place, lookup in enumerate(plan.lookups)]
    sources = {s.table: s.said for s in [plan.source, *(one.source for one in plan.lookups)] if s.table}
    outcome, months = plan.outcome, plan.months
    leaf = min(400, max(5, plan.rows // 500))
    kind = "Classifier" if outcome.kind == "classifier" else "Regressor"
    null = ['null_outcome="leave_out"'] if outcome.field.column.missing else []
    gate = [
        f'metric="{outcome.metric}"',
        f"floor={outcome.floor}",
        "margin=0.01",
        f"minimum_rows={months.minimum_rows}",
    ]
    model = [
        "contract=CONTRACT",
        '(SQL / "training_set.sql").read_text()',
        'requests_query=(SQL / "requests.sql").read_text()',
        f"outcome={literal(outcome.field.name)}",
        *null,
        "shape=shapes.TRAINING_SET",
        "estimator=estimator",
        f"gate={call('GateRule', gate, 4, around=6)}",
        f"window={months.window}",
        f'first_period="{months.first}"',
        "description=CONTRACT.purpose",
        *([f"reads={sequence([literal(plan.source.table)], 4)}"] if plan.source.table else []),
    ]
    model[1] = f"query={model[1]}"
    needed = ["from datetime import timedelta\n"] if tables else []
    table_import = ["from penstock.declare.table import ReplicatedTable\n"] if tables else []
    described = [
        f"    {literal(name)}: {literal(f'{_plain(said)} of the warehouse.')},\n" for name, said in sources.items()
    ]
    return "".join(
        [
            f'"""The declarations of `{plan.model}`: its tables, its model, and their schedules."""\n\n',
            *needed,
            "from pathlib import Path\nfrom typing import Any\n\n",
            f"from model_tools.{plan.model} import CONTRACT\n",
            "from penstock.declare.model import GateRule, Model\n",
            *table_import,
            f"from schemas import {plan.model} as shapes\n\n",
            f'SQL = Path(__file__).parent / "{plan.model}_sql"\n\n',
            *(["SOURCES = {\n", *described, "}\n\n"] if sources else []),
            *([f"TABLES = {_exploded('', tables, 0)}\n\n"] if tables else []),
            "\ndef estimator() -> Any:\n",
            '    """A small gradient boosting that takes categories and missing values as they are."""\n',
            f"    from sklearn.ensemble import HistGradientBoosting{kind}\n\n",
            f"    return HistGradientBoosting{kind}(\n",
            "        max_iter=200,\n        learning_rate=0.05,\n        max_depth=4,\n",
            f"        min_samples_leaf={leaf},\n        l2_regularization=1.0,\n",
            '        categorical_features="from_dtype",\n',
            "        early_stopping=False,\n        random_state=0,\n    )\n\n\n",
            f"MODEL = {_exploded('Model', model, 0)}\n",
        ]
    )


def example(plan: ModelPlan) -> dict[str, Any]:
    """A request of the most frequent values, JSON-ready."""
    known = {f.name: _json(f) for f in plan.fields if f.column.example is not None}
    return known | {plan.asked_at.name: "2026-01-01T12:00:00Z"}


def table_example(lookup: LookupPlan, request: dict[str, Any]) -> dict[str, str]:
    """A row of a lookup's table as Python source, which a request finds."""
    row = {}
    for own in lookup.key_fields:
        field = lookup.key[own.name]
        row[own.name] = _source(own, request[field]) if field in request else literal(_json(own))
    if lookup.known_at is not None:
        row[lookup.known_at.name] = "datetime(2000, 1, 1, tzinfo=UTC)"
    return row | {f.name: _source(f, _json(f)) for f in lookup.columns}


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
    return f"ge={_number(low)}, le={_number(high)}"


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
    return _exploded("Lookup", parts, 8)


def _table(lookup: LookupPlan, place: int) -> str:
    fields = [*lookup.key_fields, *([lookup.known_at] if lookup.known_at else [])]
    parts = [
        literal(lookup.table),
        f'(SQL / "tables" / {literal(lookup.table + ".sql")}).read_text()',
        sequence([literal(f.name) for f in fields], 8, around=1),
        f"shapes.{_constant(lookup)}",
        f"description={literal('What is looked up in ' + _plain(lookup.source.said) + '.')}",
        f"lookups=(CONTRACT.lookups[{place}],)",
        f"minimum_rows={max(1, lookup.rows // 2)}",
        'cron="30 4 * * *"',
        "fresh_within=timedelta(hours=36)",
        *([f"after=({literal('warehouse/' + lookup.source.table)},)"] if lookup.source.table else []),
    ]
    return _exploded("ReplicatedTable", parts, 4)


def _outcome_shape(outcome: Field) -> str:
    nullable = ", nullable=True" if outcome.column.missing else ""
    return f'"{outcome.name}": pa.Column({outcome.storage.shape}{nullable})'


def _shape_column(name: str, shape: str, field: Field) -> str:
    parts = [shape]
    if field.bounded and field.storage.python in ("int", "float") and field.column.least is not None:
        low, high = field.column.bounds()
        parts.append(f"pa.Check.in_range({_number(low)}, {_number(high)})")
    parts += ["nullable=True"] if field.optional else []
    return f'"{name}": pa.Column({", ".join(parts)})'


def _of_table(lookup: LookupPlan) -> list[Field]:
    return [*lookup.key_fields, *([lookup.known_at] if lookup.known_at else []), *lookup.columns]


def _constant(lookup: LookupPlan) -> str:
    name = lookup.name.upper()
    return identifier(name if name != "TRAINING_SET" else "TRAINING_SET_TABLE")


def _exploded(function: str, arguments: list[str], indent: int) -> str:
    inside = " " * (indent + 4)
    return f"{function}(\n" + "".join(f"{inside}{argument},\n" for argument in arguments) + " " * indent + ")"


def _purpose(plan: ModelPlan) -> str:
    outcome = shortened(_plain(plan.outcome.field.column.name), 30)
    key = shortened(", ".join(plan.key), 40)
    if plan.outcome.kind == "regressor":
        return f"The {outcome} to expect, by {key}."
    return f"The probability of each value of {outcome}, by {key}."


def _plain(text: str) -> str:
    """A text that a docstring can hold."""
    return shortened(text.replace("\\", "/").replace('"', "'"), 50)


def _number(value: float) -> str:
    return str(int(value)) if abs(value) < 1e16 else repr(float(value))


def _json(field: Field) -> Any:
    value = field.column.example
    if isinstance(value, datetime | date):
        return value.isoformat()
    if field.storage.python in ("float", "str") and value is not None:
        return float(value) if field.storage.python == "float" else str(value)
    return value


def _source(field: Field, value: Any) -> str:
    if field.is_time and value is not None:
        return f"{field.storage.python}.fromisoformat({literal(str(value))})"
    return literal(value)
