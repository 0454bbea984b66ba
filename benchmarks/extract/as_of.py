"""The point-in-time join inside a Postgres without any index, beside DuckDB's own ASOF JOIN with the extract for it."""

from datetime import datetime, timedelta

import click
import duckdb
import msgspec

from benchmarks.extract import scratch
from benchmarks.figures import Figure, at_most, medians
from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.extract.extract import only_reading
from penstock.extract.training_join import training_query
from penstock.warehouse.postgres.warehouse import PostgresWarehouse

SCRIPT = """
CREATE TABLE known AS SELECT 'k' || n % 5000 AS k, timestamptz '2026-01-01' + n * interval '7 seconds' AS known_at,
    random() AS x, random() AS y, 'text ' || n % 77 AS z FROM generate_series(1, {known}) AS n ORDER BY random();
CREATE TABLE asked AS SELECT n AS id, 'k' || (random() * 5000)::int AS k,
    timestamptz '2026-01-01' + random() * {known} * interval '7 seconds' AS asked_at, random() AS a
    FROM generate_series(1, {asked}) AS n;
ANALYZE
"""
KNOWN, ASKED = "SELECT * FROM known", "SELECT * FROM asked"


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked."""

    id: int
    k: str
    a: float
    asked_at: datetime | None = None


CONTRACT = Contract(
    model="benchmark",
    purpose="",
    request=Ask,
    entity=("id",),
    lookups=(
        Lookup(
            "known",
            "known",
            {"k": "k"},
            (Column("x", "number"), Column("y", "number"), Column("z", "text")),
            as_of=("known_at", "asked_at"),
            max_age=timedelta(days=30),
        ),
    ),
    features=(Feature("x", "number"),),
    compute=lambda columns: {"x": columns["known.x"]},
    output=Output("y", "regressor"),
)


@click.command()
@click.option("--asked", default=200_000, show_default=True)
@click.option("--known", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(asked: int, known: int, rounds: int) -> None:
    """Join, each way in turn, and print medians and the ratio."""
    with scratch(SCRIPT.format(asked=asked, known=known)) as (url, _):
        warehouse = PostgresWarehouse(url)
        results = {}

        def inside() -> None:
            only_read = only_reading(warehouse, (ASKED, KNOWN), {})
            query = training_query(CONTRACT, ASKED, {"known": KNOWN}, warehouse.dialect, only_read=only_read)
            with warehouse.batches(query, key=("id",), hash_joins=True) as batches:
                results["inside"] = batches.read_all()

        def outside() -> None:
            with duckdb.connect(config={"threads": 2}) as connection:
                for name, query in (("known", KNOWN), ("asked", ASKED)):
                    with warehouse.batches(query) as batches:
                        connection.register(name, batches.read_all())
                query = training_query(CONTRACT, ASKED, {"known": KNOWN}, "duckdb")
                connection.execute("SET TimeZone = 'UTC'")
                results["outside"] = connection.sql(f"SELECT * FROM ({query}) ORDER BY id").to_arrow_table()

        within, without = medians(rounds, inside, outside)
    assert results["inside"].num_rows == asked
    assert results["inside"].to_pylist() == results["outside"].to_pylist()
    click.echo(Figure(f"{asked:,} asked x {known:,} known rows, inside Postgres", within, "s").line())
    click.echo(Figure("the extract of both, and DuckDB's ASOF JOIN", without, "s").line())
    click.echo(at_most("ratio", within / without, "", 2).line())


if __name__ == "__main__":
    main()
