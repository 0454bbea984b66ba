"""Every form of the point-in-time join finds what a few lines of Python find, for any two tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import duckdb
import msgspec
import psycopg
import pyarrow as pa
import pytest
from chdb.session import Session

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.extract.training_join import AS_OF, training_query
from penstock.warehouse.clickhouse.doors import EmbeddedDoor
from penstock.warehouse.clickhouse.words import clickhouse_words

PAIRS = 600
START = datetime(2026, 3, 29, tzinfo=UTC)  # the night in which many clocks are put forward
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Europe/Berlin")
INSTANTS: dict[str, Callable[[int], datetime | date]] = {
    "timestamptz": lambda hour: START + timedelta(hours=hour),
    "timestamp": lambda hour: (START + timedelta(hours=hour)).replace(tzinfo=None),
    "date": lambda hour: START.date() + timedelta(days=hour),
}
KEYS: dict[str, tuple[str, list[Any]]] = {
    "text": ("text", ["", "a", "A", "é", "b ", None]),
    "int": ("bigint", [-1, 0, 2**60, None]),
    "bool": ("boolean", [True, False, None]),
    "day": ("date", [date(2026, 1, 1), date(1969, 12, 31), None]),
}
AGES = [None, timedelta(0), timedelta(hours=1), timedelta(hours=1, microseconds=-1), timedelta(days=1)]


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    k0: str | None = None
    k1: str | None = None
    k2: str | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True)
class Pair:
    """Rows that ask, (id, keys, asking time), rows that are known, (keys, known at, x, y), and how they are joined."""

    keys: tuple[str, ...]
    instant: str
    asked: list[tuple[Any, ...]]
    known: list[tuple[Any, ...]]
    lookup: Lookup

    def expected(self) -> list[tuple[Any, ...]]:
        """The joined rows, in order of their id, in plain Python."""
        rows = []
        for number, *key, asked_at in self.asked:
            there = [row for row in self.known if None not in key and list(row[: len(key)]) == key]
            if asked_at is not None:
                there = [row for row in there if row[len(key)] is not None and row[len(key)] <= asked_at]
            newest = max(there, key=lambda row: row[len(key)]) if there and asked_at is not None else None
            age = self.lookup.max_age
            if newest is not None and age is not None and asked_at - newest[len(key)] > age:
                newest = None
            if newest is not None or self.lookup.missing == "null":
                rows.append((number, *((None, None) if newest is None else newest[-2:])))
        return rows

    def query(self, dialect: str, values: "Callable[..., str] | None" = None, *, twice: bool = False) -> str:
        """The training query, reduced to what `expected` returns, over rows that are written by `values`. With `twice`
        both sides may be read more than once."""
        values = values or one_list
        contract = Contract(
            model="m",
            purpose="",
            request=Ask,
            entity=("id",),
            lookups=(self.lookup,),
            features=(Feature("x", "number"),),
            compute=lambda columns: {"x": columns["l.x"]},
            output=Output("y", "regressor"),
        )
        types = [KEYS[key][0] for key in self.keys]
        names = [f"k{place}" for place in range(len(self.keys))]
        base = values(self.asked, ["id", *names, "asked_at"], ["bigint", *types, self.instant])
        known = values(
            self.known,
            [*(f"key_{name}" for name in names), "since", "x", "y"],
            [*types, self.instant, "double precision", "text"],
        )
        joined = training_query(contract, base, {"t": known}, dialect, only_read=(base, known) if twice else ())
        return f'SELECT id, "l.x", "l.y" FROM (\n{joined}) AS joined ORDER BY id'


def one_list(rows: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]) -> str:
    """A query of literal rows; the first one gives the types, and is no row."""
    typed = ", ".join(f"CAST(NULL AS {kind})" for kind in types)
    lines = [f"({typed})", *(f"({', '.join(map(literal, row))})" for row in rows)]
    numbered = f"SELECT * FROM (VALUES {', '.join(lines)}) AS v ({', '.join(names)})"
    return f"{numbered} OFFSET 1;"


def united(rows: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]) -> str:
    """The same in ClickHouse, where a column of VALUES takes the types of all rows together."""
    lines = [
        "SELECT "
        + ", ".join(
            f"CAST({literal(one)} AS {kind}) AS {name}" for one, name, kind in zip(row, names, types, strict=True)
        )
        for row in ([None] * len(names), *rows)
    ]
    return " UNION ALL ".join([f"{lines[0]} WHERE 1 = 0", *lines[1:]])


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, bool | int | float) else f"'{value}'"


def random_pair(random: Random) -> Pair:
    """Two tables of up to 40 rows, small enough in keys and hours for many ties and many matches."""
    keys = tuple(random.sample(sorted(KEYS), random.randint(1, 3)))
    kinds = [random.sample(KEYS[name][1], random.randint(1, 2)) for name in keys]
    instant = random.choice(sorted(INSTANTS))

    def keyed() -> tuple[Any, ...]:
        hour = random.randint(-1, 9)
        return (*map(random.choice, kinds), None if hour < 0 else INSTANTS[instant](hour))

    unique = dict.fromkeys(keyed() for _ in range(random.randint(0, 40)))
    known = [(*one, random.choice([None, 0.1, -2.5, 1e300]), random.choice([None, "", "x"])) for one in unique]
    asked = [(number, *keyed()) for number in range(random.randint(0, 40))]
    lookup = Lookup(
        "l",
        "t",
        {f"key_k{place}": f"k{place}" for place in range(len(keys))},
        (Column("x", "number"), Column("y", "text")),
        as_of=("since", "asked_at"),
        missing=random.choice(["null", "reject"]),
        max_age=random.choice(AGES),
    )
    return Pair(keys, instant, asked, known, lookup)


@pytest.fixture(scope="module")
def connections(postgres: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, psycopg.Connection]]:
    with duckdb.connect() as in_process, psycopg.connect(postgres, autocommit=True) as server:
        yield in_process, server


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with EmbeddedDoor(str(tmp_path_factory.mktemp("chdb")), 10).another() as door:
        yield door.session


def rows_of(engine: Session, query: str) -> list[tuple[Any, ...]]:
    found = pa.ipc.open_file(engine.query(clickhouse_words(query), "Arrow").bytes()).read_all()
    return [tuple(row.values()) for row in found.to_pylist()]


@pytest.mark.slow
def test_every_form_finds_what_python_finds(
    connections: tuple[duckdb.DuckDBPyConnection, psycopg.Connection], engine: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process, server = connections
    found = lost = 0
    for seed in range(PAIRS):
        random = Random(seed)
        pair, zone = random_pair(random), random.choice(ZONES)
        in_process.execute(f"SET TimeZone = '{zone}'")
        server.execute(f"SET TimeZone = '{zone}'".encode())
        expected = pair.expected()
        assert in_process.execute(pair.query("duckdb")).fetchall() == expected, f"ASOF, seed {seed}"
        assert in_process.execute(pair.query("other")).fetchall() == expected, f"window in DuckDB, seed {seed}"
        for twice in (False, True):
            query = pair.query("postgresql", twice=twice)
            assert ("AS NOT MATERIALIZED (" in query) == twice
            assert server.execute(query.encode()).fetchall() == expected, f"in Postgres, {twice=}, seed {seed}"
        engine.query(f"SET session_timezone = '{zone if pair.instant == 'timestamptz' else 'UTC'}'")
        assert rows_of(engine, pair.query("clickhouse", united)) == expected, f"ASOF in ClickHouse, seed {seed}"
        with monkeypatch.context() as without:
            without.delitem(AS_OF, "clickhouse")
            assert rows_of(engine, pair.query("clickhouse", united)) == expected, f"in ClickHouse, seed {seed}"
        joined = sum(row[1:] != (None, None) for row in expected)
        found, lost = found + joined, lost + len(expected) - joined

    assert found > 2000
    assert lost > 2000
