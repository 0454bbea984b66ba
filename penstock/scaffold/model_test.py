"""The test of a new model: a request of frequent values, and one row for each of its tables."""

from pathlib import Path

import jinja2

from penstock.scaffold.example_values import example, table_example
from penstock.scaffold.model_plan import ModelPlan
from penstock.scaffold.names import class_name, literal

HERE = Path(__file__).parent


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


def render(name: str, **values: object) -> str:
    """A template of this room's folder `rendered`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "rendered"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  no HTML among them
    )
    return environment.get_template(name).render(**values)
