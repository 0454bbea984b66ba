"""`penstock train`: the data scientist's way from the warehouse to a release, with no Dagster process."""

import getpass
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from penstock import settings as environment


@click.command("train", epilog="Example: penstock train flight_delay --month 2026-10")
@click.argument("model")
@click.option("--month", help="The held-out month, YYYY-MM; the last complete one if not given.")
@click.option("--why", default="trained by hand", show_default=True, help="The reason, for the ledger.")
@click.option("--override", is_flag=True, help="Release even what the gate refuses; needs --why, and is recorded.")
@click.option("--candidate-only", is_flag=True, help="Train and judge, but release nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    model: str,
    month: str | None,
    why: str,
    override: bool,
    candidate_only: bool,
    as_json: bool,
) -> None:
    """Train MODEL on the months before one, judge it on that month, and release it through the gate."""
    if override and context.get_parameter_source("why") == click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--override needs --why TEXT, which the ledger keeps.")
    from penstock.code_version import code_version
    from penstock.declare.discovery import declared
    from penstock.postgres.urls import open_books
    from penstock.releases.ledger import current
    from penstock.training.job import train
    from penstock.training.monthly import missing_tables, prepare, publish_missing, take_rows
    from penstock.training.months import last_complete
    from penstock.training.release import gate, release_to_prod, release_to_test
    from penstock.training.skew import skew

    settings = environment.load()
    found = declared(settings.project)
    declaration = found.model(model)
    month = month or last_complete(settings.now())
    with _step("prepared the tables inside the warehouse"):
        prepare(settings, found, declaration)
    with _step(f"took the rows of {month} and of the {declaration.window_months} months before"):
        training, holdout = take_rows(settings, found, declaration, month)
    test, prod = open_books(settings)
    if missing := missing_tables(found, declaration, (test, prod)):
        with _step(f"published {', '.join(table.name for table in missing)}, which were missing"):
            publish_missing(settings, missing, (test, prod))
    with _step("compared training with the serving lookup, to the bit"):
        skew(test, declaration, holdout, rows=2_000).demand_none(model)
    before = current(test, model)
    where = f" on Ray at {settings.ray_address}" if settings.ray_address else ""
    with _step(f"trained, judged and packed the candidate{where}"):
        candidate = train(
            settings,
            declaration,
            month,
            training,
            holdout,
            declared_in="penstock.declare.discovery",
            before=before,
            code_version=code_version(settings.project),
            say=_told,
        )
    proposal = candidate.proposal
    report: dict[str, Any] = {
        "model": model,
        "month": month,
        "artifact": proposal.artifact,
        "metrics": proposal.metrics,
    }
    if candidate_only:
        decision = gate(settings, declaration, proposal, before)
        report["gate"] = msgspec.to_builtins(decision)
    else:
        who = getpass.getuser()
        with _step("released into TEST, then into PROD"):
            release_to_test(settings, declaration, proposal, test, who=who, why=why, override=override)
            entry = release_to_prod(settings, declaration, proposal, test, prod, who=who, why=why, override=override)
        report |= {"version": entry.version, "action": entry.action, "replaced": entry.replaced, "gate": entry.gate}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    click.echo(f"{_scored(proposal.metrics)} on {month}; artifact {proposal.artifact[:12]}")
    if candidate_only:
        click.echo(f"The gate would say: {decision.summary}.")
    else:
        click.echo(f"PROD serves release {entry.version} of {model} ({entry.action}).")


def _scored(metrics: Mapping[str, Any]) -> str:
    """How the candidate did in the metric that judges it, and how the base rate does."""
    from penstock.declare.metrics import MEASURES, judged_by

    judged = judged_by(metrics)
    base = metrics.get(f"{judged}_base_rate")
    against = "" if base is None else f" (base rate {base:.4f})"
    return f"{MEASURES[judged].label} {metrics[judged]:.4f}{against}"


def _told(text: str) -> None:
    """Say on stderr what is being done."""
    click.echo(f"           {text}", err=True)


@contextmanager
def _step(done: str) -> Iterator[None]:
    """Say on stderr what was done and how long it took."""
    start = time.monotonic()
    yield
    click.echo(f"  {time.monotonic() - start:5.1f} s  {done}", err=True)
