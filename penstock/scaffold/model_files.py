"""Every file of a new model, as path -> text."""

from collections.abc import Sequence

from penstock.scaffold.contract_text import contract
from penstock.scaffold.declarations_text import declarations
from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan, Source
from penstock.scaffold.model_test import text_of_test
from penstock.warehouse.interface import quoted


def paths(model: str) -> tuple[str, ...]:
    """The files and folders of a model that must not exist before."""
    code = (f"{folder}/{model}.py" for folder in ("model_tools", "assets"))
    return *code, f"assets/{model}_sql", f"tests/test_{model}.py"


def files(plan: ModelPlan) -> dict[str, str]:
    """Path, relative to the project, -> text."""
    sql = f"assets/{plan.model}_sql"
    code, declared, _, test = paths(plan.model)
    return {
        code: contract(plan),
        declared: declarations(plan),
        f"{sql}/training_set.sql": _training_set(plan),
        **{f"{sql}/tables/{one.table}.sql": table_query(one) for one in plan.lookups if not one.shared},
        test: text_of_test(plan),
    }


def _training_set(plan: ModelPlan) -> str:
    asked = plan.asked_at.expression
    fields = [*plan.fields, plan.asked_at, *plan.outcome.fields]
    known = _known(plan)
    return (
        "-- What was asked and what happened, between two times.\n"
        f"{_select(fields, plan.source)}\nWHERE {asked} >= :from\n    AND {asked} < :until{known}\n"
    )


def table_query(lookup: LookupPlan) -> str:
    """The query of the replicated table behind a lookup."""
    key = [*lookup.key_fields, *([lookup.known_at] if lookup.known_at else [])]
    nullable = [f"{quoted(f.column.name)} IS NOT NULL" for f in key if f.column.nulls]
    where = f"\nWHERE {' AND '.join(nullable)}" if nullable else ""
    return f"{_select([*key, *lookup.columns], lookup.source)}{where}\n"


def _select(fields: Sequence[Field], source: Source) -> str:
    return "SELECT " + ",\n    ".join(field.selected for field in fields) + f"\nFROM {source.text}"


def _known(plan: ModelPlan) -> str:
    nullable = [quoted(f.column.name) for f in plan.fields if f.name in plan.key and f.column.nulls]
    return "".join(f"\n    AND {name} IS NOT NULL" for name in nullable)
