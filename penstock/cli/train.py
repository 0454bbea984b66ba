"""`penstock train`: the data scientist's way from the warehouse to a release, with no Dagster process."""

import getpass
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from penstock import settings as environment


@click.command("train", epilog="Example: penstock train flight_delay --period 2026-10")
@click.argument("model")
@click.option("--period", help="The held-out day, ISO week or month; the newest whose outcomes are known if not given.")
@click.option("--month", hidden=True, help="The same, as it was called before.")
@click.option("--why", default="trained by hand", show_default=True, help="The reason, for the ledger.")
@click.option("--override", is_flag=True, help="Release even what the gate refuses; needs --why, and is recorded.")
@click.option("--incomplete", is_flag=True, help="Train a period whose outcomes are not all known; needs --why.")
@click.option("--candidate-only", is_flag=True, help="Train and judge, but release nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    model: str,
    period: str | None,
    month: str | None,
    why: str,
    override: bool,
    incomplete: bool,
    candidate_only: bool,
    as_json: bool,
) -> None:
    """Train MODEL on the periods before one, judge it on that one, and release it through the gate."""
    if context.get_parameter_source("why") == click.core.ParameterSource.DEFAULT and (override or incomplete):
        raise click.UsageError(
            f"{'--override' if override else '--incomplete'} needs --why TEXT, which the ledger keeps."
        )
    from penstock.cli.served import compare
    from penstock.declare.discovery import declared
    from penstock.postgres.urls import open_books
    from penstock.processes import let_waiting_threads_sleep
    from penstock.releases.ledger import current
    from penstock.training.run import TrainingRun

    let_waiting_threads_sleep()
    settings = environment.load()
    found = declared(settings.project)
    declaration = found.model(model)
    named = period or month or str(declaration.newest_trainable(settings.now()))
    run = TrainingRun(settings, declaration, named, found.tables_for(declaration), incomplete=incomplete)
    run.demand_complete()
    service = compare(settings, model, declaration.contract.digest())
    _told(service.sentence)
    with _step("prepared the tables inside the warehouse"):
        run.prepare(found)
    with _step(f"took the rows of {run.period} and of the {declaration.window} {declaration.every}s before"):
        training, holdout = run.extract_both()
    test, prod = open_books(settings)
    if missing := run.missing_tables((test, prod)):
        with _step(f"published {', '.join(table.name for table in missing)}, which were missing"):
            run.publish(missing, (test, prod))
    with _step("compared training with the serving lookup, to the bit"):
        compared = run.compare_with_serving(holdout, test)
        compared.demand_none(model)
    where = f" on Ray at {settings.ray_address}" if settings.ray_address else ""
    with _step(f"trained, judged and packed the candidate{where}"):
        candidate = run.train(training, holdout, compared, test, _told)
    proposal = candidate.proposal
    report: dict[str, Any] = {
        "model": model,
        "period": run.period,
        "artifact": proposal.artifact,
        "metrics": proposal.metrics,
    }
    if candidate_only:
        decision = run.judge(proposal, current(test, model))
        report["gate"] = msgspec.to_builtins(decision)
    else:
        who = getpass.getuser()
        with _step("released into TEST, then into PROD"):
            run.release_to_test(proposal, test, who=who, why=why, override=override)
            entry = run.release_to_prod(proposal, test, prod, who=who, why=why, override=override)
        report |= {"version": entry.version, "action": entry.action, "replaced": entry.replaced, "gate": entry.gate}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    click.echo(f"{_scored(proposal.metrics)} on {run.period}; artifact {proposal.artifact[:12]}")
    if candidate_only:
        click.echo(f"The gate would say: {decision.summary}.")
    else:
        click.echo(service.current(model, entry.version, f" ({entry.action})"))


def _scored(metrics: Mapping[str, Any]) -> str:
    """The metric that judges the candidate, and that of the base rate."""
    from penstock.declare.metrics import MEASURES, judged_by

    judged = judged_by(metrics)
    base = metrics.get(f"{judged}_base_rate")
    against = "" if base is None else f" (base rate {base:.4f})"
    return f"{MEASURES[judged].label} {metrics[judged]:.4f}{against}"


def _told(text: str) -> None:
    """Print on stderr what is being done."""
    click.echo(f"           {text}", err=True)


@contextmanager
def _step(done: str) -> Iterator[None]:
    """Print on stderr what was done and how long it took."""
    start = time.monotonic()
    yield
    click.echo(f"  {time.monotonic() - start:5.1f} s  {done}", err=True)
