"""`penstock train`: the data scientist's way from the warehouse to a release, with no Dagster process."""

import getpass
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from penstock.declare.model import Model
    from penstock.declare.project import Declarations
    from penstock.runtime import Runtime


@click.command("train", epilog="Example: penstock train flight_delay --period 2026-10")
@click.argument("model")
@click.option("--period", help="The held-out day, ISO week or month; the newest whose outcomes are known if not given.")
@click.option("--month", hidden=True, help="The same, as it was called before.")
@click.option("--why", default="trained by hand", show_default=True, help="The reason, for the ledger.")
@click.option("--override", is_flag=True, help="Release even what the gate refuses; needs --why, and is recorded.")
@click.option("--incomplete", is_flag=True, help="Train a period whose outcomes are not all known; needs --why.")
@click.option("--candidate-only", is_flag=True, help="Train and judge, but release nothing.")
@click.option(
    "--dry-run", "dry", is_flag=True, help="Check query, types, joins, shapes and estimator on 1,000 rows; do nothing."
)
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
    dry: bool,
    as_json: bool,
) -> None:
    """Train MODEL on the periods before one, judge it on that one, and release it through the gate."""
    _demand_reason(context, {"--override": override, "--incomplete": incomplete})
    from penstock.cli.served import compare
    from penstock.processes import let_waiting_threads_sleep
    from penstock.releases.ledger import current
    from penstock.runtime import Runtime
    from penstock.serving.deploying.history import History
    from penstock.training.run import TrainingRun

    let_waiting_threads_sleep()
    runtime = Runtime.load()
    settings, found = runtime.settings, runtime.declared
    declaration = _checked(found, model)
    named = period or month or _newest(runtime, declaration)
    if dry:
        _dry_run(runtime, declaration, named)
        return
    _demand_surroundings(runtime)
    run = TrainingRun(settings, declaration, named, found.tables_for(declaration), incomplete=incomplete)
    run.demand_complete()
    service = compare(settings.service_url, History(settings.home), model, declaration.contract.digest())
    _told(service.sentence)
    with _step("prepared the tables inside the warehouse"):
        run.prepare(found)
    with _step(f"took the rows of {run.period} and of the {declaration.window} {declaration.every}s before"):
        training, holdout = run.extract_both()
    _say_unused(declaration, training.schema.names)
    test, prod = runtime.books
    if missing := run.missing_tables((test, prod)):
        with _step(f"published {', '.join(table.name for table in missing)}, which were missing"):
            run.publish(missing, (test, prod))
    with _step("compared training with the serving lookup, to the bit"):
        (compared := run.compare_with_serving(holdout, test)).demand_none(model)
    with _step(f"trained, judged and packed the candidate{_place(settings.ray_address)}"):
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
        report["gate"], verdict = msgspec.to_builtins(decision), f"The gate would say: {decision.summary}."
    else:
        who = getpass.getuser()
        with _step("released into TEST, then into PROD"):
            run.release_to_test(proposal, test, who=who, why=why, override=override)
            entry = run.release_to_prod(proposal, test, prod, who=who, why=why, override=override)
        report |= {"release": entry.release, "action": entry.action, "replaced": entry.replaced, "gate": entry.gate}
        verdict = service.current(model, entry.release, f" ({entry.action})")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
        return
    click.echo(f"{_scored(proposal.metrics)} on {run.period}; artifact {proposal.artifact[:12]}")
    _say_perfect(proposal.metrics)
    click.echo(verdict)


def _place(ray_address: str) -> str:
    return f" on Ray at {ray_address}" if ray_address else ""


def _demand_surroundings(runtime: "Runtime") -> None:
    from penstock.cli.system.preconditions import Preconditions

    Preconditions(runtime.settings).demand_to_publish()


def _demand_reason(context: click.Context, options: Mapping[str, bool]) -> None:
    """UsageError for the first of the options that is set without a reason of its own."""
    chosen = [option for option, is_set in options.items() if is_set]
    if chosen and context.get_parameter_source("why") == click.core.ParameterSource.DEFAULT:
        raise click.UsageError(f"{chosen[0]} needs --why TEXT, which the ledger keeps.")


def _checked(found: "Declarations", name: str) -> "Model":
    """The declared model, once nothing in its declarations is wrong; says what nothing names."""
    from penstock.declare.connections import unused
    from penstock.training.dry_run import demand_estimator

    model = found.checked(name)
    for sentence in unused(found):
        click.echo(f"Note: {sentence}{'' if sentence.endswith('?') else '.'}", err=True)
    demand_estimator(model)
    return model


def _say_unused(model: "Model", names: Sequence[str]) -> None:
    from penstock.training.dry_run import unused_columns

    for name in unused_columns(model, names):
        click.echo(f"Note: column {name!r} of the query is used by nothing.", err=True)


def _newest(runtime: "Runtime", model: "Model") -> str:
    """The period to train where none is named; says so where the rows ended before the newest one."""
    from penstock.extract.newest_rows import newest_period

    now = runtime.settings.now()
    found, newest = newest_period(model, runtime.warehouse, now), model.newest_trainable(now)
    if found != newest:
        click.echo(f"Period {found}: the last that has rows; {newest} would be the newest (`--period`).", err=True)
    return str(found)


def _dry_run(runtime: "Runtime", model: "Model", named: str) -> None:
    """Print what a training would do, and what was seen of its rows."""
    from penstock.declare.metrics import MEASURES
    from penstock.declare.periods import Period
    from penstock.training.dry_run import dry_run

    name, tables = model.contract.model, runtime.declared.tables_for(model)
    period = Period.parse(named, model.every, of=f"period of model {name!r}")
    for sentence in dry_run(model, tables, period, runtime.warehouse, runtime.settings.now()):
        click.echo(f"  {sentence}")
    window = period.windows(model.window)
    looked_up = f", look up in {', '.join(table.name for table in tables)}" if tables else ""
    limit = "floor" if MEASURES[model.gate.metric].higher_is_better else "ceiling"
    click.echo(
        f"Would train {name} on {window.training_from:%Y-%m-%d} until {window.holdout_from:%Y-%m-%d}, judge it on"
        f" {period} by {model.gate.bounds[0].name} ({limit} {model.gate.floor}){looked_up}, and release it into TEST,"
        " then PROD, if the gate lets it."
    )
    click.echo("Nothing was done: --dry-run.")


def _say_perfect(metrics: Mapping[str, Any]) -> None:
    from penstock.declare.metrics import best_of, is_perfect, judged_by, judged_value

    if is_perfect(metrics):
        best = best_of(judged_by(metrics))
        found = "nothing" if judged_value(metrics) == best else f"hardly anything, up to {best:g},"
        click.echo(
            f"Note: {found} is better than that. Perhaps a column is filled in only when the outcome is known: the"
            " importances in the card name it, and the query leaves it out.",
            err=True,
        )


def _scored(metrics: Mapping[str, Any]) -> str:
    """The metric that judges the candidate, and that of the base rate."""
    from penstock.declare.metrics import judged_by, label_of
    from penstock.quantity import measured

    judged = judged_by(metrics)
    base = metrics.get(f"{judged}_base_rate")
    against = "" if base is None else f" (base rate {measured(base, metrics[judged])})"
    return f"{label_of(judged)} {measured(metrics[judged])}{against}"


def _told(text: str) -> None:
    """Print on stderr what is being done."""
    click.echo(f"           {text}", err=True)


@contextmanager
def _step(done: str) -> Iterator[None]:
    """Print on stderr what was done and how long it took."""
    start = time.monotonic()
    yield
    click.echo(f"  {time.monotonic() - start:5.1f} s  {done}", err=True)
