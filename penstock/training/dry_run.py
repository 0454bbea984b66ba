"""Whether a model can be trained, seen on a few rows: query, types, joins, shapes, features. Nothing is stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from penstock.artifact.packing.answering import has_probabilities
from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Contract
from penstock.contract.declaring import nearest
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.declare.shape import shape_check
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError, demand_none
from penstock.extract.extract import column_faults, demand_columns, demand_instants, natural_queries, query_of
from penstock.extract.training_join import training_query
from penstock.extract.window import demand_inside as demand_in_window
from penstock.quantity import counted
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.training.alike import alike_by_type
from penstock.training.bounds import demand_inside
from penstock.training.few_rows import fit_to_few
from penstock.training.frame import training_rows, without_values
from penstock.training.skew import demand_each_alone
from penstock.warehouse.interface import Warehouse, quoted
from penstock.warehouse.query_text import subquery

ROWS = 1_000


@dataclass
class DryRun:
    """What was seen, one sentence each, and the faults."""

    said: list[str] = field(default_factory=list)
    faults: list[PenstockError] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a fault of this check, and go on after it."""
        try:
            yield
        except PenstockError as error:
            self.faults.append(error)


def dry_run(
    model: Model, tables: Sequence[ReplicatedTable], period: Period, warehouse: Warehouse, now: datetime
) -> list[str]:
    """What was seen of the rows that a training of this period would read; every fault at once as one PenstockError."""
    run = DryRun()
    with run.noted():
        model.demand_from_first(period)
    with TemporaryDirectory() as folder:
        store = SnapshotStore(folder)
        for table in tables:
            with run.noted():
                run.said.append(_check_table(warehouse, store, table, model.contract, now))
        with run.noted():
            _check_training_set(run, warehouse, store, model, tables, period, now)
    demand_none(run.faults)
    return run.said


def _check_training_set(
    run: DryRun,
    warehouse: Warehouse,
    store: SnapshotStore,
    model: Model,
    tables: Sequence[ReplicatedTable],
    period: Period,
    now: datetime,
) -> None:
    contract, windows = model.contract, period.windows(model.window)
    window = {"from": windows.training_from, "until": windows.holdout_until}
    base = f"SELECT * FROM (\n{subquery(model.query)}) AS source LIMIT {ROWS}"
    own = f"model {contract.model!r}"
    with query_of(own), warehouse.batches(base, window) as batches:
        demand_columns(model, batches.schema.names)
        demand_instants(contract, batches.schema)
        unused = unused_columns(model, batches.schema.names)
        count = sum(batch.num_rows for batch in batches)
    run.said += [f"column {name!r} of the query is used by nothing" for name in unused]
    if not count:
        raise PenstockError(
            f"query of {own}",
            expected=f"rows from {windows.training_from:%Y-%m-%d} until {windows.holdout_until:%Y-%m-%d}",
            found="none",
            todo="Choose a period for which there are rows: `--period`.",
        )
    if run.faults:
        return  # of the tables: what is joined with them would only repeat it
    natural = natural_queries(warehouse, tables)
    query = training_query(contract, warehouse.natural(base, window), natural, warehouse.dialect)
    key = tuple(dict.fromkeys((*contract.entity, contract.asked_at)))
    with run.noted(), query_of(own):
        _demand_held_out(run, warehouse, model, windows.holdout_from, windows.holdout_until)
    with query_of(own):
        whole = warehouse.natural(model.query, window)
    _demand_unique(warehouse, f"query of {own}", whole, key, window)
    name = f"{contract.model}.training_set"
    with run.noted(), query_of(own):
        run.said += alike_by_type(warehouse, model.query, window, contract, tables)
    with query_of(own), warehouse.batches(query, window, key=key) as batches:
        snapshot = store.write(name, batches, Recipe(query, key), as_of=now, check=_shape_check(run, model))
    rows = pa.Table.from_batches(snapshot.batches(), snapshot.schema)
    run.said.append(
        f"{counted(rows.num_rows, 'row')} of the query, joined with {counted(len(contract.lookups), 'lookup')}"
    )
    _check_rows(run, model, rows)


def _demand_held_out(run: DryRun, warehouse: Warehouse, model: Model, since: datetime, until: datetime) -> None:
    """PenstockError where the query returns rows of another time than it is run for, or fewer than the gate demands."""
    asked = quoted(model.contract.asked_at)
    ends = f"min({asked}) AS first, max({asked}) AS last, count(*) AS n"
    found = f"SELECT {ends} FROM (\n{subquery(model.query)}) AS source"
    with warehouse.batches(found, {"from": since, "until": until}) as batches:
        row = dict(next(row for batch in batches for row in batch.to_pylist()))
    count = int(row.pop("n"))
    if count < (least := model.gate.minimum_rows):
        raise PenstockError(
            f"held-out rows of model {model.contract.model!r}",
            expected=f"at least minimum_rows {least:,} of its gate",
            found=f"{count:,}",
            todo="Choose another period (`--period`), or declare a lower `minimum_rows`.",
        )
    demand_in_window(model, since, until, row.values())
    run.said.append(f"{counted(count, 'held-out row')} to judge by")


def _shape_check(run: DryRun, model: Model) -> Callable[[pa.RecordBatch], None]:
    check = shape_check(model.rows_shape, f"the training set of {model.contract.model}")

    def noting(batch: pa.RecordBatch) -> None:
        with run.noted():
            check(batch)

    return noting


def demand_estimator(model: Model) -> None:
    """PenstockError unless the declared function returns an estimator of the model's kind."""
    probable = model.task in ("binary", "multiclass")
    needed = ("fit", "predict_proba") if probable else ("fit", "predict")
    thing = f"estimator of model {model.contract.model!r}"
    expected = f"a function that returns an estimator with {' and '.join(needed)}"
    try:
        made = model.estimator()
    except Exception as error:
        raise PenstockError(thing, expected=expected, found=f"{type(error).__name__}: {error}") from None
    has = {"fit": hasattr(made, "fit"), "predict": hasattr(made, "predict"), "predict_proba": has_probabilities(made)}
    lacking = [name for name in needed if not has[name]]
    if lacking or isinstance(made, type):
        found = f"the class {made.__name__}" if isinstance(made, type) else f"{type(made).__name__} without it"
        raise PenstockError(thing, expected=expected, found=found, todo="Return an instance, of the output's kind.")
    _demand_continuing(model, made)
    demand_storable(made, model.contract.output, model.trusted_types, kept=bool(model.continues))


def _demand_continuing(model: Model, estimator: Any) -> None:
    """PenstockError where a model continues in a way that its estimator does not have."""
    has = {
        "": True,
        "partial_fit": hasattr(estimator, "partial_fit"),
        "warm_start": not hasattr(estimator, "get_params") or "warm_start" in estimator.get_params(),
    }
    if not has[model.continues]:
        raise PenstockError(
            f"continues of model {model.contract.model!r}",
            expected=f"an estimator that has {model.continues}",
            found=f"{type(estimator).__name__} without it",
            todo="Leave `continues` out, or take another estimator.",
        )


def _check_table(
    warehouse: Warehouse, store: SnapshotStore, table: ReplicatedTable, contract: Contract, now: datetime
) -> str:
    thing = f"table {table.name!r}"
    demand_none(column_faults(warehouse, table, contract))
    few = f"SELECT * FROM (\n{subquery(table.query)}) AS source LIMIT {ROWS}"
    with query_of(thing), warehouse.batches(few, key=table.key) as batches:
        _demand_named(table, batches.schema.names)
        recipe = Recipe(table.query, table.key)
        count = store.write(
            table.name, batches, recipe, as_of=now, check=shape_check(table.rows_shape, table.name)
        ).rows
    if count < min(table.minimum_rows, ROWS):
        todo = "Load the rows, or declare fewer."
        raise PenstockError(thing, expected=f"minimum_rows {table.minimum_rows:,}", found=f"{count:,}", todo=todo)
    if table.version_query:
        with query_of(f"version_query of {thing}"), warehouse.batches(table.version_query) as batches:
            sum(batch.num_rows for batch in batches)
    _demand_unique(warehouse, thing, table.query, table.key)
    return f"table {table.name}: {counted(count, 'row')} seen, its key is unique"


def _demand_unique(
    warehouse: Warehouse, thing: str, query: str, key: Sequence[str], bound: Mapping[str, Any] | None = None
) -> None:
    """PenstockError with the most frequent key of which the query has several rows."""
    names = ", ".join(map(quoted, key))
    repeated = (
        f"SELECT {names}, count(*) AS n FROM (\n{subquery(query)}) AS source GROUP BY {names}"
        " HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT 1"
    )
    with query_of(thing), warehouse.batches(repeated, bound) as batches:
        twice: list[Mapping[str, Any]] = [row for batch in batches for row in batch.to_pylist()]
    if twice:
        row = dict(twice[0])
        found = f"{row.pop('n'):,} with {', '.join(f'{name}={value}' for name, value in row.items())}"
        todo = "Name a wider key, or group in the query."
        raise PenstockError(thing, expected=f"one row per {' and '.join(key)}", found=found, todo=todo)


def _demand_named(table: ReplicatedTable, names: Sequence[str]) -> None:
    """PenstockError, with all of them, for columns that the declaration names and the query does not return."""
    named = {"watermark": [table.watermark] if table.watermark else []}
    named |= {"indexes": [name for columns in table.indexes for name in columns], "bounds": list(table.bounds)}
    named |= {"columns": list(table.columns)}
    demand_none(
        [
            PenstockError(
                f"{of} of table {table.name!r}",
                expected="columns of its query",
                found=repr(name),
                todo=nearest(name, names),
            )
            for of, columns in named.items()
            for name in dict.fromkeys(columns)
            if name not in names
        ]
    )


def _check_rows(run: DryRun, model: Model, rows: pa.Table) -> None:
    with run.noted():
        made = training_rows(model, rows)
        if made.left_out:
            run.said.append(f"{made.left_out:,} of them without an outcome are left out")
        demand_inside(model, made.outside, rows.num_rows, run.said.append)
        run.said += [f"feature {name!r} has no value in any of them" for name in without_values(made.vectors)]
        demand_each_alone(model, rows)
        run.said.append(fit_to_few(model, made))
    for lookup in model.contract.lookups:
        first = rows.column(lookup.column_names()[0])
        share = 1 - first.null_count / max(1, len(first))
        run.said.append(f"lookup {lookup.name}: {share:.0%} of them have {lookup.column_names()[0]}")


def unused_columns(model: Model, names: Sequence[str]) -> list[str]:
    """The columns of extracted rows that neither the request, nor a lookup, nor the outcome, nor a weight is."""
    used = {*model.contract.input_kinds(), *model.outcomes, model.sample_weight}
    return [name for name in names if name not in used]
