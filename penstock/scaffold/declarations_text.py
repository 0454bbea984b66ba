"""The Python of a new model's shapes and declarations, laid out as the formatter would."""

from penstock.scaffold.literals import delay_text, exploded, number_text, plain
from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan
from penstock.scaffold.names import call, identifier, literal, sequence


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
    outcome, periods = plan.outcome, plan.periods
    leaf = min(400, max(5, plan.rows // 500))
    kind = "Classifier" if outcome.kind == "classifier" else "Regressor"
    null = ['null_outcome="leave_out"'] if outcome.field.column.missing else []
    gate = [
        f'metric="{outcome.metric}"',
        f"floor={outcome.floor}",
        "margin=0.01",
        f"minimum_rows={periods.minimum_rows}",
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
        *([f'every="{periods.every}"'] if periods.every != "month" else []),
        f"window={periods.window}",
        f'first_period="{periods.first}"',
        *([f"outcome_after={delay_text(periods.outcome_after)}"] if periods.outcome_after else []),
        "description=CONTRACT.purpose",
        *([f"reads={sequence([literal(plan.source.table)], 4)}"] if plan.source.table else []),
    ]
    model[1] = f"query={model[1]}"
    needed = ["from datetime import timedelta\n"] if tables or periods.outcome_after else []
    table_import = ["from penstock.declare.table import ReplicatedTable\n"] if tables else []
    described = [
        f"    {literal(name)}: {literal(f'{plain(said)} of the warehouse.')},\n" for name, said in sources.items()
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
            *([f"TABLES = {exploded('', tables, 0)}\n\n"] if tables else []),
            "\ndef estimator() -> Any:\n",
            '    """A small gradient boosting that takes categories and missing values as they are."""\n',
            f"    from sklearn.ensemble import HistGradientBoosting{kind}\n\n",
            f"    return HistGradientBoosting{kind}(\n",
            "        max_iter=200,\n        learning_rate=0.05,\n        max_depth=4,\n",
            f"        min_samples_leaf={leaf},\n        l2_regularization=1.0,\n",
            '        categorical_features="from_dtype",\n',
            "        early_stopping=False,\n        random_state=0,\n    )\n\n\n",
            f"MODEL = {exploded('Model', model, 0)}\n",
        ]
    )


def _table(lookup: LookupPlan, place: int) -> str:
    fields = [*lookup.key_fields, *([lookup.known_at] if lookup.known_at else [])]
    parts = [
        literal(lookup.table),
        f'(SQL / "tables" / {literal(lookup.table + ".sql")}).read_text()',
        sequence([literal(f.name) for f in fields], 8, around=1),
        f"shapes.{_constant(lookup)}",
        f"description={literal('What is looked up in ' + plain(lookup.source.said) + '.')}",
        f"lookups=(CONTRACT.lookups[{place}],)",
        f"minimum_rows={max(1, lookup.rows // 2)}",
        'cron="30 4 * * *"',
        "fresh_within=timedelta(hours=36)",
        *([f"after=({literal('warehouse/' + lookup.source.table)},)"] if lookup.source.table else []),
    ]
    return exploded("ReplicatedTable", parts, 4)


def _outcome_shape(outcome: Field) -> str:
    nullable = ", nullable=True" if outcome.column.missing else ""
    return f'"{outcome.name}": pa.Column({outcome.storage.shape}{nullable})'


def _shape_column(name: str, shape: str, field: Field) -> str:
    parts = [shape]
    if field.bounded and field.storage.python in ("int", "float") and field.column.least is not None:
        low, high = field.column.bounds()
        parts.append(f"pa.Check.in_range({number_text(low)}, {number_text(high)})")
    parts += ["nullable=True"] if field.optional else []
    return f'"{name}": pa.Column({", ".join(parts)})'


def _of_table(lookup: LookupPlan) -> list[Field]:
    return [*lookup.key_fields, *([lookup.known_at] if lookup.known_at else []), *lookup.columns]


def _constant(lookup: LookupPlan) -> str:
    name = lookup.name.upper()
    return identifier(name if name != "TRAINING_SET" else "TRAINING_SET_TABLE")
