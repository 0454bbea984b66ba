"""The choices of a new model, from what its rows look like; every fault of them at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.quantity import counted
from penstock.scaffold import casts
from penstock.scaffold.lookup_plan import Reader, lookup_plan
from penstock.scaffold.model_plan import (
    MOST_CATEGORIES,
    FeaturePlan,
    Field,
    LookupPlan,
    ModelPlan,
    Source,
    instant,
    is_beyond_exact,
    useless,
)
from penstock.scaffold.names import identifier
from penstock.scaffold.numbering import note_identifiers
from penstock.scaffold.options import Options
from penstock.scaffold.outcome_plan import AskKind, Kind, kind_of_outcomes
from penstock.scaffold.period_plan import periods_and_gate
from penstock.scaffold.profile import AS_TEXT, DATE, Column, Table, named
from penstock.scaffold.row_faults import key_faults, role_faults, time_faults
from penstock.scaffold.sources import LookupOption, lookup_option, source
from penstock.warehouse.interface import WarehouseError

LONGEST_FIELD = 44
"""So that a field fits on one line of code wherever it stands."""


class NewModelError(PenstockError):
    """Why a model cannot be written: each fault on a line of its own."""

    def __init__(self, model: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        lines = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(f"model {model!r}: nothing was written, because{lines}")


class Faults:
    """The faults that were found so far, each in one sentence."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.found: list[str] = []

    @contextmanager
    def noted(self, thing: str = "") -> Iterator[None]:
        """Note a fault of this step, and go on after it. `thing` is what the warehouse is asked for."""
        try:
            yield
        except WarehouseError as error:
            own = error.found and error.thing == "query" and not error.expected
            said = (error.found if own else str(error)).partition("\nLINE ")[0]
            self.found.append(f"{thing or 'the warehouse'}: {' '.join(said.split())}")
        except ValueError as error:
            self.found.append(str(error))

    def error(self) -> NewModelError:
        """All of them as one error."""
        return NewModelError(self.model, self.found)

    def demand_none(self) -> None:
        """NewModelError where there is one."""
        if self.found:
            raise self.error()


def choose(
    options: Options,
    reader: Reader,
    tables: list[tuple[str, str]],
    declared: Mapping[str, ReplicatedTable],
    now: datetime,
    ask_kind: AskKind,
) -> ModelPlan:
    """The plan of a model; NewModelError with every fault. `declared`: replicated tables that the project has."""
    faults = Faults(options.model)
    wanted: list[tuple[LookupOption, Source]] = []
    rows = table = None
    for text in options.lookups:
        with faults.noted():
            option = lookup_option(text)
            wanted.append((option, source(option.table, tables, "--lookup")))
    with faults.noted(f"--from {options.rows}"):
        rows = source(options.rows, tables, "--from")
        table = reader.read(rows, events=True)
    if rows is None or table is None:
        raise faults.error()
    columns: dict[str, Column] = {}
    for option_name, names in (
        ("--outcome", options.outcomes),
        ("--key", options.key),
        ("--asked-at", (options.asked_at,)),
    ):
        for name in names:
            with faults.noted():
                columns[name] = named(table, name, option_name)
    if not table.rows:
        faults.found.append(f"{rows.said}: expected rows, found none")
    given = {"--key": options.key, "--outcome": options.outcomes}
    faults.found += [f"{name}: expected a column, found none" for name, names in given.items() if not names]
    faults.demand_none()
    asked = columns[options.asked_at]
    outcomes = list({columns[name].name: columns[name] for name in options.outcomes}.values())
    key = list({columns[name].name: columns[name] for name in options.key}.values())
    faults.found += role_faults(outcomes, key, asked, table)
    faults.demand_none()
    kind: Kind | None = None
    with faults.noted():
        kind = kind_of_outcomes(outcomes, options.kind, ask_kind)
    asked_field = _asked(asked, table, options.zone)
    faults.found += time_faults(asked, table)
    with faults.noted():
        faults.found += key_faults(reader, rows, table, key, asked)
    fields = fields_of(table, outcomes, asked, asked_field.name, key)
    plans: list[LookupPlan] = []
    for option, place in wanted:
        with faults.noted(f"--lookup {option.table}"):
            plans.append(lookup_plan(option, place, reader, rows, fields, asked, declared, options.model, plans))
    faults.demand_none()
    assert kind is not None
    taken = [field.name for field in fields] + [asked_field.name]
    outcome_field, *others = named_fields(outcomes, taken)
    try:
        periods, predicted = periods_and_gate(
            reader.warehouse,
            rows,
            [outcome_field, *others],
            asked_field,
            kind,
            options.every,
            options.outcome_after,
            now,
        )
    except ValueError as error:
        raise NewModelError(options.model, [str(error)]) from None
    fields = [joined_field(field, plans) for field in fields]
    used = [*outcomes, *(field.column for field in fields if _looked_up(field, plans))]
    counting = note_identifiers(reader.warehouse, table, asked, key, used)
    kept = [f for f in fields if f.column in key or not useless(f.column) or _looked_up(f, plans)]
    own_name = {field.column.name: field.name for field in kept}
    features = features_of(kept, asked_field, plans, {own_name[c.name] for c in key})
    return ModelPlan(
        model=options.model,
        source=rows,
        rows=table.rows,
        key=[own_name[column.name] for column in key],
        asked_at=asked_field,
        fields=kept,
        lookups=plans,
        features=features,
        outcome=replace(predicted, others=tuple(others)),
        periods=periods,
        said=_alone(features)
        + _left_out(table, {*own_name, *(one.name for one in outcomes), asked.name}, asked, key)
        + casts.marked(field.column for plan in plans for field in plan.columns)
        + casts.none({field.column.name: field.column for field in kept})
        + casts.none({f"{plan.name}.{field.name}": field.column for plan in plans for field in plan.columns})
        + counting,
    )


def plain_field(column: Column, name: str, *, key: bool = False) -> Field:
    """A column as a field of a request or of a replicated table; one of no type that is held is a text."""
    storage = column.storage or AS_TEXT
    if key and (is_beyond_exact(column) or (column.is_whole_decimal and storage.python == "float")):
        storage = AS_TEXT
    return Field(name, column, storage, optional=column.missing and not key, bounded=not key)


def named_fields(columns: Sequence[Column], taken: Sequence[str]) -> list[Field]:
    """Columns as fields, each under a name that none other has."""
    fields: list[Field] = []
    for column in columns:
        name = identifier(column.name, [*taken, *(field.name for field in fields)], LONGEST_FIELD)
        fields.append(plain_field(column, name))
    return fields


def fields_of(
    table: Table, outcomes: Sequence[Column], asked: Column, asked_name: str, key: Sequence[Column]
) -> list[Field]:
    """A field for each column but outcomes and asking time, whether it is of use or not."""
    fields: list[Field] = []
    for column in table.columns.values():
        if not any(column is one for one in (*outcomes, asked)):
            name = identifier(column.name, [asked_name, *(field.name for field in fields)], LONGEST_FIELD)
            fields.append(plain_field(column, name, key=any(column is one for one in key)))
    return fields


def joined_field(field: Field, lookups: Sequence[LookupPlan]) -> Field:
    """The field as a lookup that is keyed by it needs it: of any value, and a text where the table's key is one."""
    keys = [own for plan in lookups for own in plan.key_fields if plan.key[own.name] == field.name]
    if not keys:
        return field
    text = any(own.storage == AS_TEXT for own in keys)
    return replace(field, bounded=False, storage=AS_TEXT if text else field.storage)


def features_of(
    fields: Sequence[Field], asked_at: Field, lookups: Sequence[LookupPlan], key: Collection[str]
) -> list[FeaturePlan]:
    """A feature for each field that is a quantity, a category or a time; identifiers are none."""
    features: list[FeaturePlan] = []
    joined = {field for lookup in lookups for field in lookup.key.values()}
    pairs = [(field, field.name, field.name) for field in fields]
    pairs += [(f, f"{plan.name}.{f.name}", f"{plan.name}_{f.name}") for plan in lookups for f in plan.columns]
    for field, column, wanted in pairs:
        identifies = column in key or column in joined
        few = field.column.values is not None and len(field.column.values) <= MOST_CATEGORIES
        if identifies and (field.storage.kind != "text" or not few):
            continue
        if field.is_time:
            name = identifier(f"{wanted}_days", [feature.name for feature in features], LONGEST_FIELD + 8)
            made = ['columns["' + asked_at.name + '"]', f'columns["{column}"]']
            features.append(FeaturePlan(name, "number", "days_between", made))
        elif field.storage.kind == "text" and field.column.values is not None and len(field.column.values) == 1:
            if not field.column.missing:
                continue
            # Histogram boosting sees no difference between the one category and a missing one.
            name = identifier(f"{wanted}_given", [feature.name for feature in features], LONGEST_FIELD + 8)
            features.append(FeaturePlan(name, "number", "given", [f'columns["{column}"]']))
        else:
            kind = "text" if field.storage.kind == "text" else "number"
            features.append(FeaturePlan(column, kind, f'columns["{column}"]'))  # type: ignore[arg-type]
    taken = [feature.name for feature in features]
    asked = f'columns["{asked_at.name}"]'
    if asked_at.column.storage != DATE:
        hour = identifier("asked_hour", taken)
        features.append(FeaturePlan(hour, "number", "hour", [asked]))
    weekday = identifier("asked_weekday", taken)
    features.append(FeaturePlan(weekday, "number", "weekday", [asked]))
    return features


def _asked(column: Column, table: Table, zone: str) -> Field:
    free = "asked_at" not in table.columns or column.name == "asked_at"
    return instant("asked_at" if free else identifier(column.name, (), LONGEST_FIELD), column, zone)


def _alone(features: Sequence[FeaturePlan]) -> list[str]:
    learns = any(one.made not in ("hour", "weekday") for one in features)
    return [] if learns else ["no column is left to learn from, but hour and weekday of the asking"]


def _looked_up(field: Field, lookups: Sequence[LookupPlan]) -> bool:
    return any(field.name in lookup.key.values() for lookup in lookups)


def _left_out(table: Table, used: Collection[str], asked: Column, key: Sequence[Column]) -> list[str]:
    """What the rows have that the model does not use, and why."""
    said = casts.marked(c for c in table.columns.values() if c.name in used)
    said += [f"left out {name}: {reason}" for name, reason in table.unreadable.items()]
    said += [f"left out {c.name}: {useless(c)}" for c in table.columns.values() if c.name not in used]
    lacking: Mapping[str, int] = {column.name: column.nulls for column in (*key, asked) if column.nulls}
    return said + [f"left out {counted(count, 'row')} without {name}" for name, count in lacking.items()]
