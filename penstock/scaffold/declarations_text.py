"""The Python of a new model's declarations, laid out as the formatter would."""

from penstock.scaffold.contract_text import mapping
from penstock.scaffold.literals import delay_text, exploded, number_text
from penstock.scaffold.model_plan import LookupPlan, ModelPlan
from penstock.scaffold.names import call, literal, sequence


def declarations(plan: ModelPlan) -> str:
    """assets/<model>.py."""
    own = [lookup for lookup in plan.lookups if not lookup.shared]
    needed = ["from datetime import timedelta\n"] if plan.periods.outcome_after else []
    imported = ["GateRule", "Model", "boosting", *(["lookup_tables"] if own else [])]
    return "".join(
        [
            f'"""The declarations of `{plan.model}`: {"its tables and " if own else ""}its model."""\n\n',
            *needed,
            "from pathlib import Path\n\n",
            f"from model_tools.{plan.model} import CONTRACT\n",
            f"from penstock.declare.plain import {', '.join(imported)}\n\n",
            f'SQL = Path(__file__).parent / "{plan.model}_sql"\n\n',
            *([f"TABLES = {_tables(own)}\n\n"] if own else []),
            f"MODEL = {exploded('Model', _model(plan), 0)}\n",
        ]
    )


def _model(plan: ModelPlan) -> list[str]:
    outcome, periods = plan.outcome, plan.periods
    rarest = min((outcome.field.column.values or {}).values(), default=plan.rows) if outcome.classes else plan.rows
    leaf = max(5, min(400, plan.rows // 500, rarest // 4))
    outputs = f"outputs={len(outcome.fields)}, " if outcome.others else ""
    gate = [
        f'metric="{outcome.metric}"',
        f"floor={literal(outcome.floor)}",
        f"margin={literal(outcome.margin)}",
        f"minimum_rows={periods.minimum_rows}",
    ]
    return [
        "contract=CONTRACT",
        'query=(SQL / "training_set.sql").read_text()',
        *(['null_outcome="leave_out"'] if outcome.missing else []),
        f'estimator=lambda: boosting("{outcome.kind}", {outputs}min_samples_leaf={leaf})',
        f"gate={call('GateRule', gate, 4, around=6)}",
        *([f'every="{periods.every}"'] if periods.every != "month" else []),
        f"window={periods.window}",
        f'first_period="{periods.first}"',
        *([f"outcome_after={delay_text(periods.outcome_after)}"] if periods.outcome_after else []),
        *([f"reads={sequence([literal(plan.source.table)], 4)}"] if plan.source.table else []),
    ]


def _tables(lookups: list[LookupPlan]) -> str:
    bounds = [
        f"{literal(f'{one.table}.{field.name}')}: ({', '.join(map(number_text, field.column.bounds()))})"
        for one in lookups
        for field in one.columns
        if field.bounded and field.storage.python in ("int", "float") and field.column.least is not None
    ]
    after = [
        f"{literal(one.table)}: {literal('warehouse/' + one.source.table)}"
        for one in lookups
        if one.source.table not in ("", one.table)
    ]
    arguments = ["CONTRACT", 'SQL / "tables"']
    arguments += [f"bounds={mapping(bounds, 4, around=8)}"] if bounds else []
    arguments += [f"after={mapping(after, 4, around=7)}"] if after else []
    return call("lookup_tables", arguments, 0, around=9)
