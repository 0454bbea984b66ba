"""Extracts: queries that run inside the warehouse, and the snapshots of their results."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa

from penstock.contract.contract import Contract
from penstock.contract.request_types import Kind
from penstock.declare.derived_shape import OF_KIND
from penstock.declare.model import Model
from penstock.declare.shape import shape_check
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError, demand_none
from penstock.extract.changed_rows import changed_rows
from penstock.extract.in_parts import whole_result
from penstock.extract.incremental import (
    WATERMARK,
    changes_query,
    check_watermark,
    extendable,
    greatest_watermark,
    recipe_of,
    unchanged,
)
from penstock.extract.lookup_join import INLINES
from penstock.extract.other_kind import same_reading
from penstock.extract.training_join import training_query
from penstock.extract.window import window_check
from penstock.rows.types import stored_schema
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.warehouse.estimate import estimate
from penstock.warehouse.interface import Warehouse, WarehouseError, quoted
from penstock.warehouse.query_text import subquery


def extract(table: ReplicatedTable, warehouse: Warehouse, store: SnapshotStore, now: datetime) -> Snapshot:
    """The snapshot of a replicated table as it is in the warehouse now.

    - A table with a watermark: only what changed since the last snapshot is read, until a full extract is due.
    - A table with a version query: nothing is read while the result of that query stays the same.
    - ShapeError, and nothing stored, where the rows do not have the declared shape.
    """
    last = store.latest(table.name)
    recipe = recipe_of(table, warehouse)
    if last is not None and unchanged(table, recipe, last, now):
        return store.skip(last, now)
    check = shape_check(table.rows_shape, table.name)
    whole, last = last, extendable(table, recipe, last, now)
    since = greatest_watermark(last, table.watermark) if last else None
    if last is not None and since is not None:
        try:
            with (
                query_of(f"table {table.name!r}"),
                warehouse.batches(changes_query(table), {WATERMARK: since}, key=table.key) as found,
            ):
                changes, base = changed_rows(last, found, table), last.base or last
                if changes is not None:
                    return store.write_changes(
                        last, changes, lambda rows: base.rows + rows - changes.replaced, recipe, as_of=now, check=check
                    )
        except WarehouseError:  # a watermark of another type than before may not be comparable with its last value
            if stored_schema(query_schema(warehouse, table), table.name).equals(last.schema):
                raise
    began = time.monotonic()
    with query_of(f"table {table.name!r}"), whole_result(warehouse, table, store) as batches:
        check_watermark(batches.schema, table)
        admit = same_reading(table.name, table.query, batches.schema, whole, warehouse.dialect)
        return store.write(table.name, batches, recipe, as_of=now, check=check, admit=admit, began=began)


def extract_training_rows(
    model: Model,
    tables: Mapping[str, ReplicatedTable],
    warehouse: Warehouse,
    store: SnapshotStore,
    now: datetime,
    *,
    name: str,
    since: datetime,
    until: datetime,
) -> Snapshot:
    """The snapshot `name` of a model's rows between two instants, each lookup joined as of the row's asking time."""
    key = tuple(
        dict.fromkeys((*model.contract.entity, model.contract.asked_at))
    )  # an entity may be asked about many times
    window, own = {"from": since, "until": until}, f"model {model.contract.model!r}"
    demand_none([fault for table in tables.values() for fault in column_faults(warehouse, table, model.contract)])
    queries = natural_queries(warehouse, tables.values())
    with query_of(own):
        natural = warehouse.natural(model.query, window)
    only_read = only_reading(warehouse, (natural, *queries.values()), window)
    query = training_query(model.contract, natural, queries, warehouse.dialect, only_read=only_read)
    with query_of(own), warehouse.batches(query, window, key=key, hash_joins=True) as batches:
        demand_columns(model, batches.schema.names)
        demand_instants(model.contract, batches.schema)
        admit = same_reading(name, subquery(model.query), batches.schema, store.latest(name), warehouse.dialect)
        recipe = Recipe(query, key, dialect=warehouse.dialect)
        shape, window_of = shape_check(model.rows_shape, name), window_check(model, since, until)

        def check(batch: pa.RecordBatch) -> None:
            shape(batch)
            window_of(batch)

        return store.write(name, batches, recipe, as_of=now, check=check, admit=admit, for_book=False)


def natural_queries(warehouse: Warehouse, tables: Iterable[ReplicatedTable]) -> dict[str, str]:
    """Replicated table -> its query as a join inside the warehouse reads it, see `Warehouse.natural`."""
    queries = {}
    for table in tables:
        with query_of(f"table {table.name!r}"):
            queries[table.name] = warehouse.natural(table.query)
    return queries


def only_reading(warehouse: Warehouse, queries: Iterable[str], bound: Mapping[str, Any]) -> list[str]:
    """The queries that may run more than once in a training query; none in a dialect that is not of `INLINES`."""
    if warehouse.dialect not in INLINES:
        return []
    return [query for query in queries if estimate(warehouse, query, bound).only_reads]


@contextmanager
def query_of(thing: str) -> Iterator[None]:
    """Say of a query that is refused in this block whose it is: `thing` is a model or table with its name."""
    try:
        yield
    except WarehouseError as error:
        if error.thing != "query":
            raise
        raise WarehouseError(
            f"query of {thing}", expected=error.expected, found=error.found, todo=error.todo
        ) from error


def query_schema(warehouse: Warehouse, table: ReplicatedTable) -> pa.Schema:
    """The columns of a table's query as the warehouse declares them now."""
    none = f"SELECT * FROM (\n{subquery(table.query)}) AS source LIMIT 0"
    with query_of(f"table {table.name!r}"), warehouse.batches(none) as batches:
        return batches.schema


def column_faults(warehouse: Warehouse, table: ReplicatedTable, contract: Contract) -> list[PenstockError]:
    """What the declarations need of a replicated table and its query does not select."""
    schema = query_schema(warehouse, table)
    there = schema.names
    needed = {f"key of table {table.name!r}": table.key}
    for lookup in table.lookups:
        columns = (*lookup.key, *(one.name for one in lookup.columns), *(lookup.as_of or ())[:1])
        needed[f"lookup {lookup.name!r} in table {table.name!r}"] = columns
    instants = contract.instants_in_zone()
    as_of = [one.as_of for one in contract.lookups if one.table == table.name and one.as_of]
    asked = [known_at for known_at, asked_at in as_of if asked_at in instants]
    faults = _kind_faults(table, contract, schema)
    faults += _zoneless(f"query of table {table.name!r}", asked, schema, contract.zone)
    return faults + [
        PenstockError(
            thing,
            expected=f"columns of its query, {', '.join(there)}",
            found=", ".join(map(repr, lacking)),
            todo="Select them in the table's query, or correct the declaration.",
        )
        for thing, columns in needed.items()
        if (lacking := [name for name in columns if name not in there])
    ]


def _kind_faults(table: ReplicatedTable, contract: Contract, found: pa.Schema) -> list[PenstockError]:
    """Columns of a table that a lookup compares with request fields of another kind, which no value equals."""
    compared: list[tuple[str, str, str, Kind]] = []
    kinds = contract.request_kinds()
    for lookup in contract.lookups:
        if lookup.table == table.name:
            key = [(f"key of lookup {lookup.name!r}", own, field, kinds[field]) for own, field in lookup.key.items()]
            pairs = [lookup.as_of] if lookup.as_of else []
            compared += [*key, *((f"as_of of lookup {lookup.name!r}", own, field, "time") for own, field in pairs)]
    return [
        PenstockError(
            of,
            expected=f"{OF_KIND[kind][0]} in column {own!r}, as in the request field {field!r}",
            found=str(found.field(own).type),
            todo="Name another column or field, or cast it in the table's query.",
        )
        for of, own, field, kind in compared
        if own in found.names and not OF_KIND[kind][1](found.field(own).type)
    ]


def demand_columns(model: Model, found: Sequence[str]) -> None:
    """PenstockError that names every column which the model needs of its query and does not find there."""
    own = [name for name in (*model.outcomes, model.sample_weight) if name]
    missing = [name for name in dict.fromkeys([*model.contract.request_kinds(), *own]) if name not in found]
    if missing:
        raise PenstockError(
            f"query of model {model.contract.model!r}",
            expected=f"a column for each request field and the outcome; it lacks {', '.join(map(repr, missing))}",
            found=", ".join(name for name in found if "." not in name),
            todo="Select them in the query, or correct the declaration.",
        )


def demand_instants(contract: Contract, found: pa.Schema) -> None:
    """PenstockError for each column without a zone, where a request's time without an offset is none of UTC."""
    demand_none(_zoneless(f"query of model {contract.model!r}", contract.instants_in_zone(), found, contract.zone))


def _zoneless(thing: str, wanted: Iterable[str], found: pa.Schema, zone: str) -> list[PenstockError]:
    """The faults of columns that are wanted as instants, and are days or times without a zone."""
    kinds = {name: found.field(name).type for name in dict.fromkeys(wanted) if name in found.names}
    return [
        PenstockError(
            thing,
            expected=f"instants in column {name!r}, because the contract has the zone {zone!r}",
            found=f"{kind}, without a zone",
            todo=f"Read it there: `({quoted(name)} AT TIME ZONE '{zone}') AS {quoted(name)}` in DuckDB and Postgres.",
        )
        for name, kind in kinds.items()
        if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)
    ]
