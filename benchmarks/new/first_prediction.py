"""From a table of 200,000 rows to a first prediction: `python -m benchmarks.new.first_prediction [--rows N] [--json]`.

A new project over an empty home: `penstock new` with two lookups, then `penstock up`, which trains, releases, serves
and asks. Each is a process of its own, as a person starts it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import duckdb
import msgspec

from benchmarks.figures import Figure, at_most
from penstock.processes import free_port
from penstock.scaffold.project import write_project

ROWS = 200_000
LIMIT_SECONDS = 180.0
TABLES = (
    "CREATE TABLE shops AS SELECT i AS shop, i * 7 % 500 AS area, ['mall', 'street'][1 + i % 2] AS kind"
    " FROM range(300) t(i)",
    "CREATE TABLE prices AS SELECT i % 40 AS item, TIMESTAMP '2026-01-01' + INTERVAL (i // 40 * 7) DAY AS valid_from,"
    " i * 31 % 100 / 4.0 AS price FROM range(40 * 46) t(i)",
    "CREATE TABLE sales AS SELECT i AS sale, i * 31 % 300 AS shop, i * 17 % 40 AS item,"
    " TIMESTAMP '2026-03-01' + INTERVAL (i * 15_000_000_000 // {rows}) MILLISECOND AS sold_at,"
    " i * 7919 % 1000 / 10.0 AS discount, ['card', 'cash', 'app'][1 + i % 3] AS paid_by,"
    " i * 104729 % 100 < 20 + i * 31 % 300 // 10 AS returned FROM range({rows}) t(i)",
)
NEW = (
    *("new", "returns", "--from", "sales", "--outcome", "returned", "--key", "sale", "--asked-at", "sold_at"),
    *("--lookup", "shops", "--lookup", "prices:item@valid_from"),
)


@click.command()
@click.option("--rows", default=ROWS, show_default=True, help="The rows of the table.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(rows: int, as_json: bool) -> None:
    """Measure both commands once, from a project that nothing runs of."""
    with tempfile.TemporaryDirectory(prefix="penstock-new-") as name:
        root = Path(name) / "shop"
        write_project(root)
        (root / ".penstock").mkdir()
        with duckdb.connect(root / ".penstock" / "warehouse.duckdb") as warehouse:
            for table in TABLES:
                warehouse.execute(table.format(rows=rows))
        ports = {"PENSTOCK_HTTP_PORT": str(free_port()), "PENSTOCK_DAGSTER_PORT": str(free_port())}
        try:
            made, up = _timed(root, ports, *NEW), _timed(root, ports, "up")
        finally:
            _timed(root, ports, "down")
    figures = [
        Figure(f"penstock new, {rows:,} rows", made, "s"),
        Figure("penstock up, to the first prediction", up, "s"),
        at_most("both", made + up, "s", LIMIT_SECONDS),
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(figures)))
        return
    for figure in figures:
        click.echo(figure.line())


def _timed(root: Path, more: dict[str, str], *arguments: str) -> float:
    """Seconds that a command of the project takes; it has to succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    start = time.monotonic()
    command = [sys.executable, "-m", "penstock", *arguments]
    subprocess.run(command, cwd=root, env=kept | more, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
