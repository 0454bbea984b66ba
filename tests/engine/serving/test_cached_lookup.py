"""A table in memory finds what the lookup statement finds, to the bit; what it cannot, it leaves to Postgres."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import numpy as np
import psycopg
import pytest

from penstock.contract.columns import request_columns
from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.lookups.look_up import look_up
from penstock.lookups.sql import SESSION, bound_types
from penstock.lookups.statement import LookupResult, LookupStatement
from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointer
from penstock.serving.tables import loading as cached_loading
from penstock.serving.tables.in_memory import RequestFields, UncacheableTable

START = datetime(2026, 3, 1, tzinfo=UTC)
NUMBERS = [None, 0.0, -0.0, 1.5, 0.1 + 0.2, 5e-324, float("nan"), float("inf"), float("-inf"), -1e300]
TEXTS = [None, "", "a", "é", "%s", '"quoted"', "a "]


class Ask(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request with a field of every type that a key may have."""

    text: str | None = None
    whole: int | None = None
    flag: bool | None = None
    day: date | None = None
    local: datetime | None = None
    asked_at: datetime | None = None


WANTED = (
    Column("small", "number"),
    Column("large", "number"),
    Column("real", "number"),
    Column("short", "number"),
    Column("yes", "number"),
    Column("word", "text"),
    Column("moment", "time"),
    Column("on", "time"),
    Column("here", "time"),
)
TYPES = {
    "text": 'text COLLATE "C"',
    "whole": "integer",
    "flag": "boolean",
    "day": "date",
    "asked_at": "timestamptz",
    "at": "timestamptz",
    "since": "date",
    "small": "integer",
    "large": "bigint",
    "real": "float8",
    "short": "float4",
    "yes": "boolean",
    "word": "varchar",
    "moment": "timestamptz",
    "on": "date",
    "here": "timestamp",
}


def contract(*lookups: Lookup) -> Contract:
    return Contract(
        model="m",
        purpose="",
        request=Ask,
        entity=(Ask.__struct_fields__[0],),
        lookups=lookups,
        features=(Feature("x", "number"),),
        compute=lambda columns: {"x": columns["whole"]},
        output=Output("y", "regressor"),
    )


LOOKUPS = (
    Lookup("by_text", "t1", {"text": "text"}, WANTED),
    Lookup("by_two", "t2", {"whole": "whole", "flag": "flag"}, WANTED),
    Lookup("by_day", "t3", {"day": "day"}, WANTED[:3]),
    Lookup("by_instant", "t4", {"asked_at": "asked_at"}, WANTED[5:]),
    Lookup("newest", "t5", {"text": "text"}, WANTED, as_of=("at", "asked_at")),
    Lookup("newest_day", "t6", {"text": "text", "whole": "whole"}, WANTED[:4], as_of=("since", "asked_at")),
    Lookup("newest_local", "t7", {"flag": "flag"}, WANTED[4:], as_of=("at", "local")),
)


def values(rng: random.Random) -> dict[str, Any]:
    """One value for each column that a table may have."""
    hours = START + timedelta(hours=rng.randrange(-30, 30))
    return {
        "text": rng.choice(TEXTS),
        "whole": rng.choice([None, *range(4)]),
        "flag": rng.choice([None, True, False]),
        "day": rng.choice([None, (START + timedelta(days=rng.randrange(4))).date()]),
        "asked_at": rng.choice([None, hours]),
        "at": rng.choice([None, hours]),
        "since": (START + timedelta(days=rng.randrange(-3, 3))).date(),
        "small": rng.choice([None, 0, -7, 2**31 - 1]),
        "large": rng.choice([None, 2**53 - 1, 1 - 2**53]),
        "real": rng.choice(NUMBERS),
        "short": rng.choice([None, 0.1, float("nan"), float("inf")]),
        "yes": rng.choice([None, True, False]),
        "word": rng.choice(TEXTS),
        "moment": rng.choice([None, hours, hours + timedelta(microseconds=1)]),
        "on": rng.choice([None, hours.date(), date(1969, 12, 31)]),
        "here": rng.choice([None, hours.replace(tzinfo=None)]),
    }


def publish(book: Book, lookup: Lookup, rows: list[dict[str, Any]]) -> Pointer:
    """A table with an index as the lookup needs it; of rows that one request could find, the first stays."""
    unique = [*lookup.key, *([lookup.as_of[0]] if lookup.as_of else [])]
    names = list(dict.fromkeys([*unique, *(column.name for column in lookup.columns)]))
    once = {tuple(row[name] for name in unique): row for row in rows}
    with book.connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS replicated.{lookup.table}")
        declared = ", ".join(f'"{name}" {TYPES[name]}' for name in names)
        connection.execute(f"CREATE TABLE replicated.{lookup.table} ({declared})")
        marks = ", ".join(["%s"] * len(names))
        connection.cursor().executemany(
            f"INSERT INTO replicated.{lookup.table} VALUES ({marks})",
            [[row[name] for name in names] for row in once.values()],
        )
        connection.execute(f"CREATE INDEX ON replicated.{lookup.table} ({', '.join(unique)})")
    return Pointer(lookup.table, "s", lookup.table, len(once), datetime.now(UTC), datetime.now(UTC))


async def both(
    book: Book, made: Contract, pointers: dict[str, Pointer], requests: list[Ask]
) -> tuple[LookupResult, LookupResult]:
    """What requests find by the statement, and in memory."""
    connection = await asyncpg.connect(book.url, server_settings=SESSION)
    try:
        found, _ = await look_up(connection, made, requests, pointers)
        statement = LookupStatement(made, pointers, pinned=True, known=[lookup.name for lookup in made.lookups])
        fields = RequestFields(requests, request_columns(made, requests))
        parts = {
            lookup.name: (
                await cached_loading.load(connection, lookup, pointers[lookup.table], bound_types(made))
            ).find(fields)
            for lookup in made.lookups
        }
        return found, statement.assemble(parts, len(requests))
    finally:
        await connection.close()


def assert_same(left: LookupResult, right: LookupResult) -> None:
    assert left.rows == right.rows
    assert left.missing == right.missing
    assert list(left.columns) == list(right.columns) or set(left.columns) == set(right.columns)
    for name, found in left.columns.items():
        assert found.dtype == right.columns[name].dtype
        if found.dtype == object:
            assert found.tolist() == right.columns[name].tolist()
        else:
            assert found.tobytes() == right.columns[name].tobytes(), name


@pytest.mark.parametrize("seed", range(4))
def test_random_tables_and_requests_find_the_same_either_way(book: Book, seed: int) -> None:
    rng = random.Random(seed)
    made = contract(*LOOKUPS)
    pointers = {
        lookup.table: publish(book, lookup, [values(rng) for _ in range(rng.choice([0, 1, 5, 40, 1300]))])
        for lookup in LOOKUPS
    }
    requests = []
    for _ in range(200):
        one = values(rng)
        fields = {name: one[name] for name in ("text", "whole", "flag", "day", "asked_at")}
        requests.append(Ask(**fields, local=rng.choice([None, START.replace(tzinfo=None), one["here"]])))
    statement, memory = asyncio.run(both(book, made, pointers, requests))
    assert_same(statement, memory)
    assert any(memory.missing), "some found nothing"
    alone = asyncio.run(both(book, made, pointers, requests[:1]))
    assert_same(*alone)
    assert alone[1].rows[0] == memory.rows[0]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("ALTER TABLE replicated.t1 ALTER text TYPE char(3)", "char"),
        ("ALTER TABLE replicated.t1 ALTER real TYPE numeric", "numeric"),
        ("UPDATE replicated.t1 SET large = 9007199254740993", "2\\^53"),
        ("UPDATE replicated.t1 SET moment = 'infinity'", "infinite"),
        ("UPDATE replicated.t1 SET text = 'b'", "one key"),
        ("INSERT INTO replicated.t1 SELECT * FROM replicated.t1", "more than the 2 rows"),
    ],
)
def test_what_only_postgres_compares_or_holds_stays_there(book: Book, sql: str, reason: str) -> None:
    lookup = LOOKUPS[0]
    rows = [values(random.Random(1)) | {"text": text, "real": 1.0} for text in ("a", "b")]
    pointers = {"t1": publish(book, lookup, rows)}
    with psycopg.connect(book.url) as connection:
        connection.execute(sql)
    with pytest.raises(UncacheableTable, match=reason):
        asyncio.run(both(book, contract(lookup), pointers, [Ask(text="a")]))


def test_a_table_that_is_too_large_stays_in_postgres(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = LOOKUPS[4]
    pointers = {"t5": publish(book, lookup, [values(random.Random(n)) for n in range(300)])}
    monkeypatch.setattr(cached_loading, "MOST_BYTES", 10_000)
    with pytest.raises(UncacheableTable, match="10000 bytes"):
        asyncio.run(both(book, contract(lookup), pointers, [Ask(text="a")]))
    monkeypatch.setattr(cached_loading, "MOST_ROWS", 100)
    with pytest.raises(UncacheableTable, match="rows"):
        asyncio.run(both(book, contract(lookup), pointers, [Ask(text="a")]))


@pytest.mark.slow
def test_a_million_bytes_of_columns_are_kept_in_about_as_many(book: Book) -> None:
    rows = 20_000
    lookup = Lookup("newest", "t5", {"text": "text"}, (Column("real", "number"),), as_of=("at", "asked_at"))
    many = [{"text": "a", "at": START + timedelta(seconds=n), "real": n / 3} for n in range(rows)]
    pointers = {"t5": publish(book, lookup, many)}
    asked = [Ask(text="a", asked_at=START + timedelta(seconds=n, microseconds=n % 2)) for n in range(-3, rows, 97)]
    statement, memory = asyncio.run(both(book, contract(lookup), pointers, asked))
    assert_same(statement, memory)
    np.testing.assert_array_equal(memory.columns["newest.real"][:3], [np.nan, 94 / 3, 191 / 3])
