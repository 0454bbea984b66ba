"""Where a replica's time goes, step by step: `python -m benchmarks.serve.inside [--home FOLDER]`.

CPU of one process and of its Postgres backend, per request, for batches of 1 and of 250, without HTTP.
"""

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.service import home as serve_home
from penstock.contract.columns import request_columns
from penstock.journal import writing
from penstock.settings import Settings

SIZES = (1, 250)
ROUNDS = 7
WRITES = 500
TICKS = os.sysconf("SC_CLK_TCK")


class Step(msgspec.Struct, frozen=True):
    """One step at one size of batch: microseconds of CPU per request, least of all rounds, and WAL bytes."""

    step: str
    batch: int
    python_us: float
    postgres_us: float = 0.0
    wal_bytes: float = 0.0


@click.command(epilog="Example: python -m benchmarks.serve.inside --json")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@serve_home.keep
def main(*, as_json: bool, home: Path | None) -> None:
    """Measure the steps of a request: decoding, lookups in memory and in Postgres, predicting, journaling."""
    with serve_home.home(home) as settings:
        steps = asyncio.run(_measure(settings))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(steps)))
    for one in [] if as_json else steps:
        wal = f"  WAL {one.wal_bytes:5.0f} B" if one.wal_bytes else ""
        click.echo(
            f"{one.step:<34} batch {one.batch:>4}  {one.python_us:8.1f} us  Postgres {one.postgres_us:8.1f} us{wal}"
        )


async def _measure(settings: Settings) -> list[Step]:
    from penstock.lookups.connection import connect
    from penstock.lookups.statement import LookupStatement
    from penstock.serving.answering.plan import plan
    from penstock.serving.answering.predictor import PredictionInput
    from penstock.serving.app import App

    app = App(settings, settings.prod_url)
    await app.start()
    model = app.models["flight_delay"]
    while model.state is None or not model.state.in_memory:
        await asyncio.sleep(0.05)
    state, predictor = model.state, model.predictor
    posted = serve_home.requests(settings, max(SIZES))
    connection = await connect(settings.prod_url)
    steps: list[Step] = []
    for size in SIZES:
        moment = f"2026-11-22T11:00:00.{time.time_ns() // 1000 % 1_000_000:06d}Z"
        body = msgspec.json.encode([one | {"asked_at": moment} for one in posted[:size]])
        asked = model.decode(body, "benchmark").requests
        requests = asked.decoded
        columns = request_columns(model.contract, requests)
        found = state.look_up(requests, columns)
        digests = found.digests()
        planned = plan(asked, [None] * size, digests, state.release.number, "exact")
        prepared = PredictionInput(asked, columns, found, digests, planned).of_new()
        vectors = model.contract.vectors(prepared.columns)
        predict = state.release.artifact.predict

        runs: dict[str, Callable[[], Any]] = {
            "decode": partial(model.decode, body, "benchmark"),
            "make columns": partial(request_columns, model.contract, requests),
            "look up in memory": partial(state.look_up, requests, columns),
            "digest the rows": found.digests,
            "predict": partial(predict, vectors),
            "make the entries": partial(predictor.entries, state, prepared, vectors, predict(vectors)),
        }
        steps += [Step(step, size, _least(run, max(3, 500 // size)) / size) for step, run in runs.items()]
        entries, _ = predictor.entries(state, prepared, vectors, predict(vectors))
        statement = LookupStatement(model.contract, state.pointers, previous=True)
        asking = partial(statement.arguments, requests, asked.entities)
        steps.append(await _statement("look up in Postgres", size, connection, statement.sql, asking))
        number = await state.number(connection)

        def written(entries: Any = entries, number: int = number, size: int = size) -> list[Any]:
            fresh = ([os.urandom(16) for _ in range(size)], *entries.digests[1:])
            new = entries._replace(ids=predictor.new_ids(size), digests=fresh)
            return ["flight_delay", state.release.number, number, writing.now(), *new.joined()]

        steps.append(await _statement("journal in one statement", size, connection, state.write_at_once, written))
    await connection.close()
    await app.stop()
    return steps


async def _statement(step: str, size: int, connection: Any, sql: str, arguments: Callable[[], list[Any]]) -> Step:
    backend, times = connection.get_server_pid(), max(20, WRITES // size)
    bound = [arguments() for _ in range(times)]
    await connection.fetch(sql, *bound.pop())
    wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
    before, began = _backend_seconds(backend), time.process_time()
    for values in bound:
        await connection.fetch(sql, *values)
    python, postgres = time.process_time() - began, _backend_seconds(backend) - before
    grown = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", wal)
    rows = len(bound) * size
    return Step(step, size, python / rows * 1e6, postgres / rows * 1e6, float(grown) / rows)


def _least(run: Callable[[], Any], times: int) -> float:
    """Microseconds of CPU of one run."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            run()
        rounds.append((time.process_time() - began) / times * 1e6)
    return min(rounds)


def _backend_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
