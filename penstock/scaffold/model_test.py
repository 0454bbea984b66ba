"""The test of a new model: a request of frequent values, and one row for each of its tables."""

from penstock.scaffold.example_values import example, table_example
from penstock.scaffold.model_plan import ModelPlan
from penstock.scaffold.names import class_name, literal
from penstock.scaffold.templates import render


def text_of_test(plan: ModelPlan) -> str:
    """tests/test_<model>.py."""
    request = example(plan)
    rows = {one.table: table_example(one, request) for one in plan.lookups}
    values = [value for row in rows.values() for value in row.values()]
    expected = "isinstance(answer.prediction, float)"
    if plan.outcome.classes:
        expected = "answer.prediction in CONTRACT.output.classes"
    elif plan.outcome.others:
        expected = "isinstance(answer.prediction, dict)"
    return render(
        "test_model.py.jinja",
        model=plan.model,
        request=class_name(plan.model),
        fields={literal(name): literal(value) for name, value in request.items()},
        rows={literal(table): {literal(n): value for n, value in row.items()} for table, row in rows.items()},
        times=[
            name
            for name, signs in (("UTC", ("=UTC)",)), ("date", ("date.",)), ("datetime", ("datetime(", "datetime.")))
            if any(value.startswith(signs) or value.endswith(signs) for value in values)
        ],
        expected=expected,
    )
