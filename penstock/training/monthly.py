"""What comes before a candidate: prepared tables, the month's rows, and published tables to compare with."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from penstock.declare.model import Model
from penstock.declare.project import Declared
from penstock.declare.table import ReplicatedTable
from penstock.extract.extract import extract, extract_training_rows
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.months import windows
from penstock.warehouse.opening import open_warehouse


def prepare(settings: Settings, declared: Declared, model: Model) -> None:
    """Run the preparations that the model's lookups rest on."""
    scripts = {p.name: p.script for table in declared.tables_for(model) for p in declared.preparations_for(table)}
    warehouse = open_warehouse(settings)
    for script in scripts.values():
        warehouse.prepare(script)


def take_rows(settings: Settings, declared: Declared, model: Model, month: str) -> tuple[Snapshot, Snapshot]:
    """The training set before the month, and the held-out set of the month."""
    window = windows(month, model.window_months)
    tables = {table.name: table for table in declared.tables_for(model)}
    spans = {
        "training_set": (window.training_from, window.holdout_from),
        "holdout_set": (window.holdout_from, window.holdout_until),
    }

    def taken(step: str) -> Snapshot:
        name, (since, until) = f"{model.contract.model}.{step}.{month}", spans[step]
        return extract_training_rows(settings, model, tables, name=name, since=since, until=until)

    # The warehouse answers about one window while the rows of the other are checked.
    with ThreadPoolExecutor(1) as beside:
        held_out = beside.submit(taken, "holdout_set")
        training = taken("training_set")
    return training, held_out.result()


def missing_tables(declared: Declared, model: Model, books: Sequence[Book]) -> list[ReplicatedTable]:
    """The tables of the model's lookups that a book does not have yet."""
    there = []
    for book in books:
        with book.engine.connect() as connection:
            there.append(set(connection.execute(sa.text("SELECT table_name FROM replicated.current")).scalars()))
    return [table for table in declared.tables_for(model) if any(table.name not in names for names in there)]


def publish_missing(settings: Settings, tables: Sequence[ReplicatedTable], books: Sequence[Book]) -> None:
    """Extract and publish tables into the books."""
    for table in tables:
        publish(extract(settings, table), table, books, who="penstock train")
