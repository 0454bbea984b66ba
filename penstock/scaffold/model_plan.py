"""A new model as it will be written: fields, lookups, features, outcome and gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR
from penstock.declare.periods import Cadence
from penstock.scaffold import casts
from penstock.scaffold.profile import INSTANT, Column, Storage
from penstock.warehouse.interface import quoted

MOST_CATEGORIES = 200
"""Of 255 that histogram boosting takes: new ones come."""
EXACT = 2**53
"""Whole numbers up to here are numbers of a float64."""


@dataclass(frozen=True)
class Field:
    """A column under its name in Python. `optional`: it may be missing. `bounded`: its range is declared."""

    name: str
    column: Column
    storage: Storage
    optional: bool = False
    bounded: bool = True

    @property
    def expression(self) -> str:
        """Its SQL in the rows of the source."""
        plain = quoted(self.column.name)
        if self.column.unfinite:
            plain = f"CASE WHEN abs({plain}) <= 1.7976931348623157e308 THEN {plain} END"
        if self.storage.zone:
            return f"(CAST({plain} AS TIMESTAMP) AT TIME ZONE '{self.storage.zone}')"
        return f"CAST({plain} AS {self.storage.cast})" if self.storage.cast else plain

    @property
    def selected(self) -> str:
        """Its SQL in a list of columns."""
        alias = quoted(self.name)
        return self.expression if self.expression == alias else f"{self.expression} AS {alias}"

    @property
    def is_time(self) -> bool:
        """Whether it is a date or a time."""
        return self.storage.kind == "time"


@dataclass(frozen=True)
class Source:
    """Where rows come from: `text` stands in FROM; `table` is the name of a raw table, empty for a query."""

    said: str
    text: str
    query: str
    table: str = ""


@dataclass(frozen=True)
class LookupPlan:
    """One lookup and the replicated table behind it. `key`: its column -> the request field.

    `found`: how many of the rows that are asked about have a row of it.
    `left_out`: a column of the table that it does not have -> the reason.
    `shared`: another model declares the table, and this one only names it.
    """

    name: str
    table: str
    source: Source
    rows: int
    key: Mapping[str, str]
    key_fields: Sequence[Field]
    known_at: Field | None
    columns: Sequence[Field]
    shared: bool = False
    found: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FeaturePlan:
    """One feature: `made` is the Python that computes it, as function and arguments where it is a call."""

    name: str
    kind: Literal["number", "text"]
    made: str
    arguments: Sequence[str] = ()


@dataclass(frozen=True)
class OutcomePlan:
    """What is predicted, and the gate: `metric` has to reach `floor`, where nothing but the outcomes has `base`,
    and to be worse than the current release by no more than `margin`.

    `others`: further outcomes, of a regressor of several values.
    """

    field: Field
    kind: Literal["classifier", "regressor"]
    classes: tuple[str, ...] = ()
    metric: str = "roc_auc"
    floor: float = 0.51
    base: float = 0.5
    margin: float = 0.01
    others: tuple[Field, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns of all outcomes."""
        return (self.field, *self.others)

    @property
    def missing(self) -> bool:
        """Whether there are rows without an outcome."""
        return any(one.column.missing for one in self.fields)


@dataclass(frozen=True)
class Periods:
    """First and last trainable period, how many are trained on, and the fewest rows that the gate judges by.

    `without_outcomes`: the newest period with rows, where it would be trained now and none of its outcomes is known.
    """

    every: Cadence
    outcome_after: timedelta
    first: str
    last: str
    window: int
    minimum_rows: int
    without_outcomes: str = ""


@dataclass(frozen=True)
class ModelPlan:
    """All of a new model."""

    model: str
    source: Source
    rows: int
    key: Sequence[str]
    asked_at: Field
    fields: Sequence[Field]
    lookups: Sequence[LookupPlan]
    features: Sequence[FeaturePlan]
    outcome: OutcomePlan
    periods: Periods
    said: Sequence[str] = field(default_factory=list)


def instant(name: str, column: Column, zone: str) -> Field:
    """A date or time as the instant that it is; one without a zone is read in `zone`, and in UTC without that."""
    if column.storage == INSTANT:
        return Field(name, column, INSTANT)
    cast = "" if zone else "TIMESTAMP WITH TIME ZONE"
    return Field(name, column, Storage("datetime", "INSTANT", "time", cast, zone))


def useless(column: Column) -> str:
    """Why a column is of no use to a model; empty for one that is."""
    if column.storage is None:
        todo = ""
        if column.type.startswith("time"):
            todo = f"; a query (--from QUERY.sql) makes a number of it: EXTRACT(HOUR FROM {quoted(column.name)})"
        return f"of a type that no request holds ({column.type}){todo}"
    if column.outside:
        years = f"beyond the years {FIRST_YEAR} to {LAST_YEAR}, which a request may have"
        return f"{column.outside:,} of its times are {years}; NULLIF in a query makes them missing values"
    if column.empty:
        return "without any value"
    if column.values is not None and len(column.values) == 1 and not column.missing:
        return f"always {str(column.least)[:40]!r}"
    written = casts.time_of_numbers(column)
    if written or column.identifies:
        todo = f"; a query (--from QUERY.sql) makes a time of it: {casts.time(column)}"
        return written + todo if written else column.identifies
    beyond = "whole numbers beyond 2^53, which no float64 holds exactly" if is_beyond_exact(column) else ""
    return beyond or _too_many_texts(column)


def _too_many_texts(column: Column) -> str:
    different = None if column.values is None else len(column.values)
    text = column.storage is not None and column.storage.python == "str"
    if not text or (different is not None and different <= MOST_CATEGORIES):
        return ""
    mostly = [what for what in column.say if column.mostly(what)]
    todo = f"; most of them are {mostly[0]}: {casts.todo(column)}" if mostly else ""
    if not mostly and different:
        todo = "; a query (--from QUERY.sql) can put the rare ones together"
    return (
        f"{different or 'more than 1,000'} different texts, of which at most {MOST_CATEGORIES} can be categories{todo}"
    )


def is_beyond_exact(column: Column) -> bool:
    """Whether it has whole numbers that a float64 cannot hold."""
    numbers: tuple[Any, ...] = (column.least, column.greatest)
    whole = column.is_whole_decimal or (column.storage is not None and column.storage.python == "int")
    return whole and any(value is not None and abs(value) > EXACT for value in numbers)
