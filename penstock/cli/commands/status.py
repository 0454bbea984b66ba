"""`penstock status`: what runs, and what it serves."""

from typing import TYPE_CHECKING, Any

import click

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.postgres.book import Book
    from penstock.runtime import Runtime


@click.command(epilog="Example: penstock status --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def status(as_json: bool) -> None:
    """Show each part with pid, port, memory and health, then what PROD serves, and what autoscaling would do.

    Autoscaling is tried dry: how many replicas the policy in serve_config.yaml would have at so many times its target,
    whatever runs.

    Memory is the sum of PSS, in which pages that processes share count once. Ends with status 1 when a part is not
    well.
    """
    import msgspec

    from penstock.cli.system.parts import parts
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    found = parts(runtime.settings)
    serves: dict[str, Any] = {"releases": [], "tables": [], "autoscaling": []}
    troubles = _surroundings(runtime)
    try:
        serves |= _served(runtime.books.prod) if found[0].well else {}
    except PenstockError as error:
        troubles.append(str(error))
    try:
        serves |= _scaling(runtime)
    except PenstockError as error:
        troubles.append(str(error))
    trouble = "\n".join(dict.fromkeys(troubles))
    if as_json:
        total = sum(part.memory for part in found)
        told = {"parts": found, "memory": total, "home": str(runtime.settings.home), "trouble": trouble, **serves}
        click.echo(msgspec.json.encode(told))
    else:
        _print(found, serves)
        if trouble:
            click.secho(trouble, fg="red")
    if trouble or not all(part.well for part in found):
        raise SystemExit(1)


def _surroundings(runtime: "Runtime") -> list[str]:
    """What would keep the next `penstock up`, publish or deploy from its work."""
    from penstock.cli.system.preconditions import Preconditions

    needs = Preconditions(runtime.settings)
    others = [needs.stores, needs.warehouse_or_seed, needs.books_to_bring_forward, needs.dagster_storage]
    return [str(fault) for fault in needs.faults([needs.home, needs.host, needs.keys, needs.https], others)]


def _served(prod: "Book") -> dict[str, Any]:
    from penstock.postgres.pointer import pointers
    from penstock.releases.ledger import current_entries

    with prod.connect() as connection:
        published = pointers(connection).values()
    return {
        "releases": [
            {name: getattr(entry, name) for name in ("model", "release", "action", "period", "who", "at")}
            for entry in current_entries(prod)
        ],
        "tables": [
            {
                "table": one.table,
                "rows": one.rows,
                "snapshot": one.snapshot[:12],
                "as_of": one.as_of,
                "published_at": one.published_at,
            }
            for one in published
        ],
    }


def _scaling(runtime: "Runtime") -> dict[str, Any]:
    """What the policies of the project's serve_config.yaml decide; nothing where replicas are not Ray's."""
    settings = runtime.settings
    path = settings.project.serve_config if settings.project else None
    if settings.book == "dev" or path is None or not path.exists():
        return {}
    from penstock.serving.deploying import scaling_trial, serve_config

    name, host, port = f"{path.parent.name}/{path.name}", settings.http_host, settings.http_port
    config = serve_config.read(path.read_text(), name, host, port)
    return {
        "autoscaling": [
            {
                "deployment": one.deployment,
                "policy": one.policy,
                "replicas": f"{one.least} to {one.most}",
                **{f"at {load:g}x": n for load, n in zip(scaling_trial.LOADS, one.replicas, strict=True)},
            }
            for one in scaling_trial.trials(config)
        ]
    }


def _print(found: list[Any], serves: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    shown = Table("part", "pid", "port", "memory", "health", box=None, pad_edge=False)
    for part in found:
        style = "green" if part.well else "red"
        numbers = [str(number) if number else "-" for number in (part.pid, part.port)]
        shown.add_row(part.name, *numbers, f"{part.memory / 1e6:,.0f} MB", f"[{style}]{part.health}[/]")
    shown.add_row("together", "", "", f"{sum(part.memory for part in found) / 1e6:,.0f} MB", "")
    console.print(shown)
    for rows in serves.values():
        if rows:
            table = Table(*rows[0], box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(f"{v:%Y-%m-%d %H:%M}" if hasattr(v, "hour") else str(v) for v in row.values()))
            console.print("")
            console.print(table)
