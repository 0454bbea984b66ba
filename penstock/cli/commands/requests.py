"""`penstock requests`: real requests of the coming schedule, for trying and for load tests."""

import click
import msgspec


@click.command("requests", epilog="Example: penstock requests flight_delay --count 1000 > requests.jsonl")
@click.argument("model")
@click.option("--count", default=5, show_default=True, type=click.IntRange(min=1), help="How many requests.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of one request a line.")
def command(model: str, count: int, as_json: bool) -> None:
    """Print COUNT different requests about MODEL that a backend would send next, one JSON a line."""
    from penstock.extract.coming_requests import coming
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    requests = coming(runtime.declared.model(model), count, runtime.warehouse, runtime.settings.now())
    if as_json:
        click.echo(msgspec.json.encode(requests).decode())
        return
    for request in requests:
        click.echo(msgspec.json.encode(request).decode())
    if len(requests) < count:
        click.echo(f"The warehouse knows only {len(requests)} coming requests.", err=True)
