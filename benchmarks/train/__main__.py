"""The monthly run beside a plain script: `python -m benchmarks.train [--rounds 5] [--json]`.

Both take the same rows from the warehouse by the same joins, compute the same features, fit the same estimator and
score the same held-out month, in turns. The monthly run also snapshots and checks the rows, evaluates with intervals,
packs, proves parity, writes the card, and releases through the gate into both books.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import process_time

import click
import msgspec

from assets.flight_delay import MODEL
from benchmarks.figures import Figure, at_most, medians
from benchmarks.train.sides import Monthly, plain, training_memory
from penstock.declare.discovery import declared
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.settings import Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from resources.example import seed, shift_days

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTH = "2026-10"
SAMPLE = 20_000
LIMIT = 1.5


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each side runs, after one run to warm up.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(rounds: int, as_json: bool) -> None:
    """Measure both sides in one process, in turns; memory in processes of their own."""
    with tempfile.TemporaryDirectory(prefix="penstock-train-") as name:
        home = Path(name)
        settings = Settings(home=home, now_override=NOW)
        warehouse = DuckDBWarehouse(str(settings.warehouse_file), now=NOW)
        seed(warehouse, shift_days(NOW))
        for preparation in declared().preparations.values():
            warehouse.prepare(preparation.script)
        server = PostgresServer(home / "pg", home / "log", DEFAULTS)
        server.start()
        try:
            figures = _figures(settings, server, rounds)
        finally:
            server.stop()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(figures)))
        return
    for figure in figures:
        click.echo(figure.line())


def _figures(settings: Settings, server: PostgresServer, rounds: int) -> list[Figure]:
    monthly = Monthly(settings, server, MODEL, MONTH)
    for run in (monthly.run, lambda: plain(settings, MODEL, MONTH)):
        run()
    monthly.taken.clear()
    areas: list[float] = []
    processor: tuple[list[float], list[float]] = ([], [])
    ours, theirs = medians(
        rounds,
        lambda: _counted(monthly.run, processor[0]),
        lambda: _counted(lambda: areas.append(plain(settings, MODEL, MONTH)), processor[1]),
        before=monthly.new_books,
    )
    if abs(areas[-1] - monthly.area) > 1e-12:
        raise AssertionError(f"the two sides differ: {monthly.area} and {areas[-1]}")
    made = [
        at_most("monthly run: times the plain script", ours / theirs, "x", LIMIT),
        Figure("  in CPU time, for a busy machine", median(processor[0]) / median(processor[1]), "x"),
        Figure("  monthly run", ours, "s"),
        Figure("  plain script", theirs, "s"),
    ]
    made += [Figure(f"  monthly run, {step}", seconds, "s") for step, seconds in monthly.medians().items()]
    rows = monthly.training.rows
    whole, sampled = (training_memory(settings, monthly.training, monthly.holdout, most) for most in (None, SAMPLE))
    return [
        *made,
        Figure(f"training on {rows:,} rows: peak RSS", whole, "MB"),
        Figure(f"training on a sample of {SAMPLE:,} of them: peak RSS", sampled, "MB"),
    ]


def _counted(run: Callable[[], object], seconds: list[float]) -> None:
    """Run, and note the CPU seconds of this process."""
    began = process_time()
    run()
    seconds.append(process_time() - began)


if __name__ == "__main__":
    main()
