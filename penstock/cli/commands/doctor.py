"""`penstock doctor`: is everything as it has to be, and what to do where it is not."""

from functools import partial

import click


@click.command(epilog="Example: penstock doctor")
@click.option(
    "--roles", "as_roles", is_flag=True, help="Print the SQL that creates the roles of a book, and nothing else."
)
@click.option("--estimators", is_flag=True, help="Print which estimators are packed, and how; nothing else.")
@click.option(
    "--warehouse", "of_warehouse", is_flag=True, help="Run the checks of the project's warehouse; nothing else."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of lines.")
def doctor(as_roles: bool, estimators: bool, of_warehouse: bool, as_json: bool) -> None:
    """Check the machine, the installation and the running parts; say what to do about each finding.

    Changes nothing and starts nothing. Ends with status 1 when a check fails.

    With --warehouse the warehouse is tried, for two minutes at most: types, order, nulls, instants, cancellation, the
    as-of join. Nothing that is there is changed; a scratch schema is made, and dropped at the end.
    """
    import msgspec
    from rich.console import Console
    from rich.markup import escape

    from penstock.cli.system.checks import diagnose
    from penstock.runtime import Runtime

    if as_roles:
        from penstock.postgres.roles import script

        click.echo(script(), nl=False)
        return
    if estimators:
        from penstock.artifact.packing.table import markdown

        click.echo(markdown(), nl=False)
        return
    if of_warehouse:
        _try_warehouse(as_json)
        return
    findings = diagnose(Runtime.load())
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        console = Console(highlight=False)
        for finding in findings:
            mark = ("[green]OK  [/]" if finding.ok else "[red]FAIL[/]") if finding.tried else "[yellow]--  [/]"
            console.print(f"{mark} {finding.name:<18} {escape(finding.found)}", soft_wrap=True)
            if not finding.ok and finding.todo:
                console.print(f"     {'':<18} [bold]{escape(finding.todo)}[/]", soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def _try_warehouse(as_json: bool) -> None:
    import msgspec
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from penstock.extract.conformance import Conformance
    from penstock.runtime import Runtime
    from penstock.warehouse.opening import open_warehouse

    with Console(stderr=True).status("trying the warehouse"):
        findings = list(Conformance(partial(open_warehouse, Runtime.load().settings)).findings())
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        marks = {True: "[green]OK[/]", False: "[red]FAIL[/]", None: "[yellow]not run[/]"}
        shown = Table("check", "", "seconds", "found")
        for finding in findings:
            told = (
                f"{escape(finding.found)}\n[bold]{escape(finding.todo)}[/]" if finding.todo else escape(finding.found)
            )
            shown.add_row(finding.check, marks[finding.ok], f"{finding.seconds:.1f}", told)
        Console(highlight=False).print(shown)
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)
