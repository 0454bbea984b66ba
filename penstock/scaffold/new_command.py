"""`penstock new`: a new model, from a table of the warehouse."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from penstock.quantity import counted

if TYPE_CHECKING:
    from penstock.scaffold.model_plan import ModelPlan
    from penstock.scaffold.profile import Progress

DELAY = re.compile(r"(\d+)([hdw])")
HOURS = {"h": 1, "d": 24, "w": 7 * 24}
UNDATED = (
    "Missing option '--asked-at': the column of when the model would have been asked, by which it is trained on some"
    " periods and judged on the next. Rows that no column dates cannot be judged so; where their order or their file"
    " says when they are from, a query (--from QUERY.sql) can say it as a date."
)
EXAMPLE = "penstock new churn --from orders --outcome came_back --key customer_id --asked-at ordered_at"


class Delay(click.ParamType[timedelta]):
    """A span of time, such as 30d."""

    name = "delay"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span of whole hours, days or weeks."""
        found = DELAY.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"expected hours, days or weeks, such as 6h, 30d or 2w, found {value!r}", param, ctx)
        return timedelta(hours=int(found[1]) * HOURS[found[2]])


class Zone(click.ParamType[str]):
    """The name of a time zone, such as Europe/Berlin."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if it is one of the IANA data base."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(str(value)).key if value else ""
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"expected a time zone such as Europe/Berlin, found {value!r}", param, ctx)


@click.command(epilog=f"Example: {EXAMPLE}")
@click.argument("model")
@click.option("--from", "rows", required=True, metavar="TABLE|QUERY.sql", help="What was asked, and what happened.")
@click.option(
    "--outcome", required=True, metavar="A[,B]", help="The column of what really happened; several amounts at once."
)
@click.option("--key", required=True, metavar="A[,B]", help="The columns that say what is asked about.")
@click.option("--asked-at", default="", metavar="COLUMN", help="When the model would have been asked.  [required]")
@click.option("--kind", type=click.Choice(["classifier", "regressor"]), help="What the outcome is: classes or amounts.")
@click.option(
    "--every", type=click.Choice(["day", "week", "month"]), help="How often it is trained; the longest that fits."
)
@click.option(
    "--outcome-after",
    type=Delay(),
    default="0d",
    metavar="30d",
    help="How long after the asking an outcome is known: 30d, 6h, 2w.",
)
@click.option(
    "--lookup",
    "lookups",
    multiple=True,
    metavar="TABLE[:KEY[=FIELD],…][@KNOWN_AT]",
    help="A table to look up in, and from when on each of its rows was known. As often as needed.",
)
@click.option(
    "--zone", type=Zone(), default="", metavar="Europe/Berlin", help="That of times without a zone; else UTC."
)
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
def new(
    model: str,
    rows: str,
    outcome: str,
    key: str,
    asked_at: str,
    kind: str | None,
    every: str | None,
    outcome_after: timedelta,
    lookups: tuple[str, ...],
    zone: str,
    dry_run: bool,
) -> None:
    """Write MODEL into the project: contract, shapes, declarations, SQL and test, from rows of the warehouse.

    The model can be trained and served as it is. Nothing is written where something is impossible, and no file is
    ever overwritten.
    """
    from penstock.project import find
    from penstock.runtime import Runtime
    from penstock.scaffold.model_files import files
    from penstock.scaffold.new_model import planned, write
    from penstock.scaffold.options import Options
    from penstock.scaffold.spelling import split

    if not asked_at.strip():
        raise click.UsageError(UNDATED)
    project = find()
    runtime = Runtime.load(project)
    keys = tuple(name.strip() for name in split(key, ",") if name.strip())
    outcomes = tuple(name.strip() for name in split(outcome, ",") if name.strip())
    options = Options(model, rows, outcomes, keys, asked_at, kind or "", lookups, every or "", outcome_after, zone)
    with _shown() as progress:
        plan = planned(project, runtime.warehouse, runtime.settings.now(), options, progress, _ask_kind)
    if dry_run:
        for name, text in files(plan).items():
            click.echo(f"==> {name} <==\n{text}")
        _say(plan, err=True)
        click.echo("Nothing was written: --dry-run.", err=True)
        return
    written = write(project.root, plan)
    _say(plan, err=False)
    click.echo("\nWrote:")
    for path in written:
        click.echo(f"  {path.relative_to(project.root)}")
    click.echo(f"\nNext:\n  penstock train {model}\n  penstock up")


def _say(plan: "ModelPlan", *, err: bool) -> None:
    """What was seen and decided."""
    from penstock.scaffold.literals import delay_words

    outcome, periods = plan.outcome, plan.periods
    seen, asked = plan.asked_at.column, plan.asked_at.storage
    kind = seen.type
    click.echo(
        f"{plan.source.said}: {counted(plan.rows, 'row')}, asked from {seen.least} to {seen.greatest} ({kind}).",
        err=err,
    )
    if asked.cast or asked.zone:
        read = f"in {asked.zone}" if asked.zone else "as UTC"
        click.echo(f"  {seen.name} has no time zone: it is read {read}.", err=err)
    blurred = any("," in name or name != name.strip() or not name for name in outcome.classes)
    shown = [repr(name) if blurred else name for name in outcome.classes[:8]]
    listed = ", ".join([*shown, *(["…"] if len(outcome.classes) > len(shown) else [])])
    classes = f" of {len(outcome.classes)} classes: {listed}" if outcome.classes else ""
    several = f" of {len(outcome.fields)} values" if outcome.others else ""
    names = ", ".join(field.column.name for field in outcome.fields)
    click.echo(f"Outcome {names}: a {outcome.kind}{classes}{several}.", err=err)
    for field in outcome.fields:
        if field.column.missing:
            of = f" {field.column.name}" if several else ""
            said = f"{counted(field.column.lacking, 'row')} without an outcome{of}: left out when training."
            click.echo(f"  {said}", err=err)
    if periods.without_outcomes:
        said = f"None of {periods.without_outcomes} has one: how late outcomes are known is said by --outcome-after."
        click.echo(f"  {said} Without it each {periods.every} is trained too early, and refused.", err=err)
    better = "at most" if outcome.metric in ("log_loss", "mae") else "at least"
    click.echo(f"Gate: {outcome.metric} of {better} {outcome.floor} (the base rate has {outcome.base}).", err=err)
    every = periods.every
    trained_on = f"{periods.window} {every}s before it are" if periods.window > 1 else f"the {every} before it is"
    ripe = f" Outcomes are awaited for {delay_words(periods.outcome_after)}." if periods.outcome_after else ""
    click.echo(
        f"Trained every {every}: {periods.first} to {periods.last} can be held out; {trained_on} trained on.{ripe}",
        err=err,
    )
    click.echo(f"Request: {', '.join(field.name for field in plan.fields)}.", err=err)
    for lookup in plan.lookups:
        known = f", known from {lookup.known_at.name} on" if lookup.known_at else ""
        key = ", ".join(f"{own} = {field}" for own, field in lookup.key.items())
        columns = ", ".join(field.name for field in lookup.columns)
        shared = f" Its table {lookup.table} is declared already, and shared." if lookup.shared else ""
        click.echo(f"Lookup {lookup.name} by {key}{known}: {columns} ({counted(lookup.rows, 'row')}).{shared}", err=err)
        if lookup.found < plan.rows:
            lacking = plan.rows - lookup.found
            click.echo(
                f"  {lacking:,} of the {counted(plan.rows, 'row')} found none there: its columns are missing.", err=err
            )
        for name, reason in lookup.left_out.items():
            click.echo(f"  left out {lookup.name}.{name}: {reason}", err=err)
    for line in plan.said:
        click.echo(f"  {line}", err=err)


def _ask_kind(question: str) -> str:
    if not sys.stdin.isatty():
        raise ValueError(f"{question} Say --kind classifier or --kind regressor")
    return str(click.prompt(question, type=click.Choice(["classifier", "regressor"]), err=True))


@contextmanager
def _shown() -> "Iterator[Progress]":
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
