"""`penstock publish`: extract replicated tables and make them current in TEST and PROD."""

import getpass
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from penstock.quantity import counted

if TYPE_CHECKING:
    from rich.table import Table

    from penstock.publish.plan import TablePlan
    from penstock.publish.publication import Publication


@click.command(epilog="Example: penstock publish route_history")
@click.argument("tables", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Publish every declared table.")
@click.option("--test-only", is_flag=True, help="Stop after the TEST book.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done to TABLES, by default all; do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")
def publish(tables: tuple[str, ...], everything: bool, test_only: bool, only_plan: bool, as_json: bool) -> None:
    """Extract TABLES from the warehouse, and those of their groups, and publish them: load, index, verify, check
    lookups, switch.

    TEST comes before PROD, content that is current already is skipped, and whatever fails leaves the books as they
    were.

    With --plan nothing runs: the warehouse is asked how many rows the queries would return, and where it would sort.
    """
    from rich.console import Console

    from penstock.cli.system.preconditions import Preconditions
    from penstock.extract.extract import extract
    from penstock.extract.preparing import PreparationResult, prepare
    from penstock.publish import publish as publishing
    from penstock.runtime import Runtime

    everything = everything or (only_plan and not tables)
    if bool(tables) == everything:
        raise click.UsageError("name the tables to publish, or give --all")
    runtime = Runtime.load()
    known = runtime.declared
    if everything:
        known.whole()
    names = {known.table(name).name for name in (known.tables if everything else tables)}
    Preconditions(runtime.settings).demand_to_publish()
    wanted = [group for group in known.groups() if any(table.name in names for table in group)]
    books = [runtime.books.test] if test_only else list(runtime.books)
    if only_plan:
        from penstock.publish.plan import plan

        plans = [
            plan(
                table,
                runtime.warehouse,
                runtime.snapshots,
                books,
                now=runtime.settings.now(),
                prepares=tuple(preparation.name for preparation in known.preparations_for(table)),
            )
            for group in wanted
            for table in group
        ]
        if as_json:
            click.echo(msgspec.json.encode(plans))
        else:
            Console().print(_plan_table(plans))
            for note in _plan_notes(plans):
                click.echo(note)
        return
    done = []
    prepared: dict[str, PreparationResult] = {}
    with Console(stderr=True).status("starting") as status:
        for group in wanted:
            taken = []
            for preparation in known.preparations_of(group):
                if preparation.name not in prepared:
                    status.update(f"preparing {preparation.name} in the warehouse")
                    prepared[preparation.name] = prepare(runtime.warehouse, preparation)
            for table in group:
                status.update(f"{table.name}: extracting")
                taken.append((extract(table, runtime.warehouse, runtime.snapshots, runtime.settings.now()), table))

            def show(stage: str, rows: int, of: int, name: str = ", ".join(table.name for table in group)) -> None:
                status.update(f"{name}: {stage}" + (f" {rows:,} of {counted(of, 'row')}" if of else ""))

            service = runtime.settings.service_url
            done += publishing.publish_group(taken, books, who=getpass.getuser(), progress=show, service=service)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        Console().print(_table(done))


def _table(publications: Sequence["Publication"]) -> "Table":
    """One row per table and book: what was done, how long it took, how fast a lookup is."""
    from rich.table import Table

    shown = Table("book", "table", "snapshot", "rows", "size", "done", "rows/s", "load", "verify", "lookup p99")
    for one in publications:
        shown.add_row(
            one.book,
            one.table,
            one.snapshot[:12],
            f"{one.rows:,}",
            f"{one.bytes / 1e6:,.1f} MB",
            "already current" if one.skipped else f"loaded in {one.seconds.total:.2f} s",
            "-" if one.skipped else f"{one.rows_per_second:,.0f}",
            "-" if one.skipped else f"{one.seconds.load:.2f} s",
            "-" if one.skipped else f"{one.seconds.verify:.2f} s",
            ", ".join(f"{name} {p99:.2f} ms" for name, p99 in one.lookup_p99_ms.items()) or "-",
        )
    return shown


def _plan_table(plans: Sequence["TablePlan"]) -> "Table":
    """One row per table: what would be extracted and loaded, how much, and how long the extract takes."""
    from rich.table import Column, Table

    shown = Table(Column("table", overflow="fold"), "extract", "rows", "size", "parts", "takes", "load into")
    for one in plans:
        least = "" if one.seconds_from.startswith("the full extract") else "≥ "
        loads = [
            ", ".join(book for book, does in one.books.items() if does == what) for what in ("load", "load if changed")
        ]
        changed = f"{loads[1]} if changed" if loads[1] else ""
        shown.add_row(
            one.table,
            one.action,
            "unknown" if one.rows is None else f"{one.rows:,}",
            "unknown" if one.bytes is None else f"{one.bytes / 1e6:,.1f} MB",
            str(one.parts),
            "unknown" if one.seconds is None else f"{least}{one.seconds:,.1f} s",
            "; ".join(filter(None, (loads[0], changed))) or "none",
        )
    return shown


def _plan_notes(plans: Sequence["TablePlan"]) -> Iterator[str]:
    """Why so much is extracted, where it is sorted and what comes first: a sentence for all tables that share it."""
    tables: dict[str, list[str]] = {}
    for one in plans:
        sorts = "" if one.action == "unchanged" else f"sorted {one.sorts}" if one.sorts else "where it sorts is unknown"
        prepares = f"after preparing {', '.join(one.prepares)}" if one.prepares else ""
        notes = (f"{one.action}, because {one.why}", sorts, prepares, one.unknown, one.cost and f"costs {one.cost}")
        tables.setdefault("; ".join(filter(None, notes)), []).append(one.table)
    for note, names in tables.items():
        yield f"{', '.join(names)}: {note}."
