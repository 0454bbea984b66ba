"""What the declarations of models, tables and preparations may not say: every fault of one at once."""

import inspect
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.contract.declaring import call_faults, span_faults
from penstock.contract.faults import name_faults, twice
from penstock.declare.cron import demand_cron
from penstock.declare.metrics import MEASURES, Task, measures_for
from penstock.declare.periods import A_CENTURY, Period
from penstock.declare.query_faults import query_faults
from penstock.declare.ray_options import ray_faults
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.declare.model import GateRule, Model
    from penstock.declare.preparation import Preparation
    from penstock.declare.table import ReplicatedTable

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWNER = re.compile(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")
STEPS = ("warehouse/", "prepared/", "dbt/")
_TASKS: dict[Task, str] = {
    "binary_scores": "a classifier of two classes that answers scores",
    "multiclass_scores": "a classifier of several classes that answers scores",
    "values": "a regressor of several values",
}


def model_faults(model: "Model") -> list[PenstockError]:
    """The faults of a model by itself."""
    name = model.contract.model
    thing = f"model {name!r}"
    try:
        fields = model.contract.request_kinds()
    except PenstockError:
        return []  # of the contract, which says so itself
    faults = names_in_dagster(thing, name)
    if not model.contract.features:
        faults.append(PenstockError(f"features of {thing}", expected="at least one", found="none"))
    if fields.get(asked_at := model.contract.asked_at) == "text":
        of, found = f"asked_at of {thing}", f"{asked_at!r}, a text"
        faults.append(PenstockError(of, expected="a date or time", found=found, todo="Periods are made of it."))
    faults += query_faults(f"query of {thing}", model.query, ("from", "until"))
    if model.requests_query:
        faults += query_faults(f"requests_query of {thing}", model.requests_query, ("count",), ("now", "from", "until"))
    faults += _estimator_faults(thing, model.estimator)
    for of, column in (*(("outcome", name) for name in model.outcomes), ("sample_weight", model.sample_weight)):
        if column in fields:
            todo = "Name the column of what happened." if of == "outcome" else "Take it from another column."
            found = f"{column!r}, a request field"
            faults.append(
                PenstockError(f"{of} of {thing}", expected="a column that is not asked", found=found, todo=todo)
            )
    faults += _gate_faults(model, fields)
    faults += _answer_faults(model, thing, fields)
    if model.rows_outside is not None and not 0 <= model.rows_outside <= 1:
        of, found = f"rows_outside of {thing}", str(model.rows_outside)
        faults.append(PenstockError(of, expected="a share from 0 to 1", found=found))
    if model.most_training_rows is not None and model.most_training_rows < 1:
        of, found = f"most_training_rows of {thing}", str(model.most_training_rows)
        faults.append(PenstockError(of, expected="at least 1", found=found))
    faults += ray_faults(thing, model.ray_options)
    if not 1 <= model.window <= A_CENTURY[model.every]:
        expected = f"at least 1 period, and at most {A_CENTURY[model.every]:,} {model.every}s"
        faults.append(PenstockError(f"window of {thing}", expected=expected, found=str(model.window)))
    faults += span_faults(f"outcome_after of {thing}", model.outcome_after)
    faults += _owner_faults(thing, model.owner)
    if model.first_period:
        faults += _first_period_faults(f"first_period of {thing}", model)
    if model.cron:
        faults += caught(demand_cron, model.cron, f"cron of {thing}")
    return faults + _shape_faults(model, fields)


def _first_period_faults(of: str, model: "Model") -> list[PenstockError]:
    try:
        first = Period.parse(model.first_period, model.every, of)
    except PenstockError as error:
        return [error]
    if first.start <= datetime.now(UTC):
        return []
    todo = "No period could be trained."
    return [PenstockError(of, expected="a period that has begun", found=repr(model.first_period), todo=todo)]


def _answer_faults(model: "Model", thing: str, fields: Collection[str]) -> list[PenstockError]:
    """The faults of what answers have besides predictions."""
    faults: list[PenstockError] = []
    for name, level, kind in (("interval", model.interval, "regressor"), ("sets", model.sets, "classifier")):
        of = f"{name} of {thing}"
        if not 0 <= level < 1:
            faults.append(PenstockError(of, expected="a share below 1, such as 0.9", found=str(level)))
        elif level and model.contract.output.kind != kind:
            faults.append(PenstockError(of, expected=f"a {kind}", found=f"a {model.contract.output.kind}"))
        elif level and model.task not in ("binary", "multiclass", "regression"):
            expected = "a regressor of one value" if kind == "regressor" else "a classifier with probabilities"
            found = "several values" if kind == "regressor" else "one that answers scores"
            faults.append(PenstockError(of, expected=expected, found=found, todo=f"Leave out `{name}`."))
    output = model.contract.output
    if output.values and model.outcome != output.name:
        columns = ", ".join(model.outcomes)
        todo = "Leave out `outcome`, and name the columns so in the query."
        of = f"outcome of {thing}"
        faults.append(
            PenstockError(of, expected=f"the values' columns {columns}", found=repr(model.outcome), todo=todo)
        )
    if model.fit is not None:
        faults += call_faults(f"fit of {thing}", model.fit, "a function of estimator and rows", 2)
    if model.base_rate_by is not None:
        faults += call_faults(f"base_rate_by of {thing}", model.base_rate_by, "a function of the rows", 1)
    if model.fit is not None and model.continues:
        todo = "Leave one of them out."
        faults.append(
            PenstockError(f"fit of {thing}", expected="no `continues` beside it", found=model.continues, todo=todo)
        )
    if model.explain and "explain" in fields:
        of, expected = f"explain of {thing}", "a request without a field `explain`, by which explanations are asked for"
        faults.append(PenstockError(of, expected=expected, found="one with it", todo="Rename the field."))
    return faults


def table_faults(table: "ReplicatedTable") -> list[PenstockError]:
    """The faults of a replicated table by itself. Its name counts where a project declares it, for Dagster: a book can
    hold a table of any name."""
    thing = f"table {table.name!r}"
    faults = query_faults(f"query of {thing}", table.query)
    if table.version_query:
        faults += query_faults(f"version_query of {thing}", table.version_query)
    faults += (
        [] if table.key else [PenstockError(f"key of {thing}", expected='columns, such as ("sku",)', found="none")]
    )
    if table.shape is not None:
        wanted = {"key": table.key, "watermark": (table.watermark,) if table.watermark else ()}
        wanted |= {"indexes": tuple(column for columns in table.indexes for column in columns)}
        wanted |= {f"lookup {one.name!r}": (*one.key, *(c.name for c in one.columns)) for one in table.lookups}
        for of, columns in wanted.items():
            lacking = [repr(column) for column in columns if column not in table.shape.columns]
            if lacking and table.shape.strict:
                todo = f"Its columns are {', '.join(table.shape.columns)}."
                faults.append(
                    PenstockError(
                        f"{of} of {thing}", expected="columns of its shape", found=", ".join(lacking), todo=todo
                    )
                )
    faults += twice(f"key of {thing}", table.key)
    texts = {column.name for lookup in table.lookups for column in lookup.columns if column.kind == "text"}
    for name, (least, greatest) in table.bounds.items():
        if name in texts:
            faults.append(PenstockError(f"bounds of {thing}", expected="columns of numbers", found=f"{name!r}, a text"))
        if least > greatest:
            of, found = f"bounds of {name!r} of {thing}", f"({least:g}, {greatest:g})"
            faults.append(PenstockError(of, expected="the least value before the greatest", found=found))
    faults += span_faults(f"full_every of {thing}", table.full_every)
    if not table.largest_delta >= 0:
        of, found = f"largest_delta of {thing}", str(table.largest_delta)
        faults.append(PenstockError(of, expected="a share of at least 0, such as 0.25", found=found))
    faults += _at_least(f"minimum_rows of {thing}", table.minimum_rows, 0)
    if not 0 <= table.largest_drop <= 1:
        of, found = f"largest_drop of {thing}", str(table.largest_drop)
        faults.append(PenstockError(of, expected="a share from 0 to 1", found=found))
    faults += span_faults(f"fresh_within of {thing}", table.fresh_within, above_zero=True)
    wrong = [repr(step) for step in table.after if not step.startswith(STEPS) or step in STEPS]
    if wrong:
        of, expected = f"after of {thing}", "warehouse/<table>, prepared/<preparation> or dbt/<asset>"
        faults.append(PenstockError(of, expected=expected, found=", ".join(wrong)))
    faults += _owner_faults(thing, table.owner)
    return faults + caught(demand_cron, table.cron, f"cron of {thing}")


def preparation_faults(preparation: "Preparation") -> list[PenstockError]:
    """The faults of a preparation by itself."""
    thing = f"preparation {preparation.name!r}"
    faults = names_in_dagster(thing, preparation.name)
    if preparation.script and preparation.query:
        faults.append(PenstockError(thing, expected="a query or a script", found="both", todo="Leave one out."))
    else:
        named = ("query", preparation.query) if preparation.query else ("script", preparation.script)
        faults += query_faults(f"{named[0]} of {thing}", named[1], script=bool(preparation.script))
    if preparation.version_query:
        faults += query_faults(f"version_query of {thing}", preparation.version_query)
    faults += _owner_faults(thing, preparation.owner)
    return faults + _at_least(f"minimum_rows of {thing}", preparation.minimum_rows, 0)


def gate_rule_faults(rule: "GateRule") -> list[PenstockError]:
    """The faults of a gate rule by itself."""
    faults = _at_least("minimum_rows of GateRule", rule.minimum_rows, 1)
    faults += twice("metrics of GateRule", [bound.name for bound in rule.bounds])
    floors = [("floor", bound.metric, bound.floor) for bound in rule.bounds]
    floors += [("slice_floor", rule.metric, rule.slice_floor)] if rule.slice_floor is not None else []
    for of, metric, floor in floors:
        measure = MEASURES[metric]
        best = measure.greatest if measure.higher_is_better else measure.least
        if (floor > best) if measure.higher_is_better else (floor < best):
            expected = f"at {'most' if measure.higher_is_better else 'least'} {best:g}, the best {measure.label}"
            faults.append(PenstockError(f"{of} of {metric!r}", expected=expected, found=str(floor)))
    for bound in rule.bounds:
        if bound.margin < 0:
            of, found = f"margin of {bound.metric!r}", str(bound.margin)
            faults.append(PenstockError(of, expected="0 or more", found=found, todo="It is how much worse is allowed."))
    return faults


def names_in_dagster(thing: str, name: str) -> list[PenstockError]:
    """A fault where Dagster and Postgres cannot call something so."""
    return name_faults(
        f"name of {thing}", name, lambda text: bool(NAME.fullmatch(text)), "letters, digits and _, at most 63"
    )


def caught(check: Any, *arguments: Any) -> list[PenstockError]:
    """The fault that a check raises."""
    try:
        check(*arguments)
    except PenstockError as error:
        return [error]
    return []


def _estimator_faults(thing: str, estimator: Any) -> list[PenstockError]:
    of, expected = f"estimator of {thing}", "a function that returns a new, unfitted estimator"
    try:
        needed = [
            name
            for name, one in inspect.signature(estimator).parameters.items()
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
    except ValueError:
        return []
    found = f"one that needs {', '.join(needed)}"
    return [PenstockError(of, expected=f"{expected}, called without arguments", found=found)] if needed else []


def _gate_faults(model: "Model", fields: Collection[str]) -> list[PenstockError]:
    thing, fitting = f"gate of model {model.contract.model!r}", measures_for(model.task)
    words = _TASKS.get(model.task, model.task)
    faults = [
        PenstockError(thing, expected=f"metrics for {words}: {', '.join(fitting)}", found=repr(bound.metric))
        for bound in model.gate.bounds
        if bound.metric not in fitting
    ]
    values = [value.name for value in model.contract.output.values]
    faults += [
        PenstockError(f"of of {thing}", expected=", ".join(values) or "nothing, of one value", found=repr(bound.of))
        for bound in model.gate.bounds
        if bound.of and bound.of not in values
    ]
    if model.gate.slice_floor is not None and not model.gate.slice_by:
        of, expected = f"slice_floor of {thing}", "`slice_by`, the field of slices"
        faults.append(PenstockError(of, expected=expected, found="none"))
    if model.gate.slice_by and model.gate.slice_by not in fields:
        todo = f"Use one of {', '.join(sorted(fields))}."
        of = f"slice_by of {thing}"
        faults.append(PenstockError(of, expected="a request field", found=repr(model.gate.slice_by), todo=todo))
    return faults


def _shape_faults(model: "Model", fields: Collection[str]) -> list[PenstockError]:
    if model.shape is None or not model.shape.strict:
        return []
    of, columns = f"shape of model {model.contract.model!r}", set(model.shape.columns)
    own = [name for name in (*model.outcomes, model.sample_weight) if name]
    wanted = [*fields, *own, *(name for lookup in model.contract.lookups for name in lookup.column_names())]
    lacking = [repr(name) for name in dict.fromkeys(wanted) if name not in columns]
    if not lacking:
        return []
    expected = "every request field, the outcome and each `lookup.column`"
    todo = "Add them, or leave out `shape`: it is then made of the contract."
    return [PenstockError(of, expected=expected, found=f"none of {', '.join(lacking)}", todo=todo)]


def _owner_faults(thing: str, owner: str) -> list[PenstockError]:
    """A fault where Dagster knows no owner of that name."""
    if not owner or OWNER.fullmatch(owner):
        return []
    todo = f"Write `team:{owner}`, or the address."
    return [PenstockError(f"owner of {thing}", expected="team:<name> or a mail address", found=repr(owner), todo=todo)]


def _at_least(thing: str, value: int, least: int) -> list[PenstockError]:
    return [] if value >= least else [PenstockError(thing, expected=f"at least {least}", found=str(value))]
