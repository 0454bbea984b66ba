"""The rows and queries of the checks of a warehouse, and what plain Python makes of them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output

_NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)  # the day on which many clocks are put forward
_TYPED: dict[str, tuple[str, str, object]] = {
    "a_boolean": ("CAST(1 = 1 AS BOOLEAN)", "boolean", True),
    "a_smallint": ("CAST(-32768 AS SMALLINT)", "smallint", -32768),
    "an_integer": ("CAST(2147483647 AS INTEGER)", "integer", 2**31 - 1),
    "a_bigint": ("CAST(9007199254740993 AS BIGINT)", "bigint", 2**53 + 1),
    "a_double": ("CAST(0.1 AS DOUBLE PRECISION)", "double precision", 0.1),
    "a_decimal": ("CAST(123456789.125 AS DECIMAL(12,3))", "numeric(12,3)", Decimal("123456789.125")),
    "a_text": ("CAST('é 😀' AS VARCHAR(20))", "text", "é 😀"),
    "a_date": ("CAST('1969-12-31' AS DATE)", "date", date(1969, 12, 31)),
    "a_timestamp": (
        "CAST('2026-03-29 02:30:00.123456' AS TIMESTAMP)",
        "timestamp without time zone",
        datetime(2026, 3, 29, 2, 30, 0, 123456),
    ),
    "an_instant": ("CAST('2026-03-29 12:00:00+00' AS TIMESTAMP WITH TIME ZONE)", "timestamp with time zone", _NOON),
}
BOOK_TYPES = {name: kind for name, (_, kind, _) in _TYPED.items()}
VALUES = {name: value for name, (_, _, value) in _TYPED.items()}
TYPED = (
    f"SELECT * FROM (SELECT {', '.join(f'{expression} AS {name}' for name, (expression, _, _) in _TYPED.items())}) AS t"
)
TEXTS = ("", " ", "10", "9", "A", "Z", "a", "b", "a b", "ab", "É", "é", "ß", "\uffee", "😀")
TEXTS_QUERY = " UNION ALL ".join(f"SELECT CAST('{text}' AS VARCHAR(20)) AS t" for text in TEXTS)
NULLS_QUERY = (
    "SELECT CAST(NULL AS VARCHAR(9)) AS no_text, CAST('' AS VARCHAR(9)) AS empty_text,"
    " CAST(NULL AS DOUBLE PRECISION) AS no_number, CAST('NaN' AS DOUBLE PRECISION) AS not_a_number"
)
NULLS = {"no_text": None, "empty_text": "", "no_number": None}
_ZONED = "CAST('2026-03-29 {}' AS TIMESTAMP WITH TIME ZONE)"
INSTANTS_QUERY = (
    f"SELECT {_ZONED.format('12:00:00+00')} AS utc, {_ZONED.format('21:00:00+09')} AS tokyo,"
    f" CAST({_ZONED.format('12:00:00+00')} AS TIMESTAMP) AS plain"
)
INSTANTS = {"utc": _NOON, "tokyo": _NOON, "plain": _NOON.replace(tzinfo=None)}
_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))


def numbered(places: int) -> str:
    """A query of the whole numbers `n` of so many decimal places, in no order."""
    number = " + ".join(f"d{place}.d * {10**place}" for place in range(places))
    return f"SELECT {number} AS n FROM {_crossed(places)}"


def endless(name: str) -> str:
    """A query that counts for hours, in a column of this name."""
    total = " + ".join(f"d{place}.d" for place in range(14))
    return f"SELECT count(*) AS {name} FROM {_crossed(14)} WHERE {total} = 5"


def _crossed(places: int) -> str:
    return " CROSS JOIN ".join(f"({_DIGITS}) AS d{place}" for place in range(places))


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    k: str | None = None
    part: str | None = None
    asked_at: datetime | None = None


_NEWEST = (Column("x", "number"), Column("y", "text"))
_SINCE = ("since", "asked_at")
LOOKUPS = (
    Lookup("newest", "known", {"k": "k", "part": "part"}, _NEWEST, as_of=_SINCE),
    Lookup("young", "known", {"k": "k", "part": "part"}, _NEWEST, as_of=_SINCE, max_age=timedelta(hours=1)),
    Lookup("named", "names", {"k": "k"}, (Column("label", "text"),), missing="reject"),
)
CONTRACT = Contract(
    model="doctor",
    purpose="",
    request=_Request,
    entity=("id",),
    lookups=LOOKUPS,
    features=(Feature("x", "number"),),
    compute=lambda columns: {"x": columns["newest.x"]},
    output=Output("y", "regressor"),
)
_KNOWN = {
    "k": "VARCHAR(9)",
    "part": "VARCHAR(9)",
    "since": "TIMESTAMP WITH TIME ZONE",
    "x": "DOUBLE PRECISION",
    "y": "VARCHAR(9)",
}
_ASKED = {"id": "INTEGER", "k": "VARCHAR(9)", "part": "VARCHAR(9)", "asked_at": "TIMESTAMP WITH TIME ZONE"}
_NAMES = {"k": "VARCHAR(9)", "label": "VARCHAR(9)"}


class Pair:
    """Random rows that ask and that are known, with many ties, in tables of a scratch schema."""

    def __init__(self, schema: str, seed: int = 0) -> None:
        random = Random(seed)  # noqa: S311
        self._schema = schema
        keys: Sequence[str | None] = ("a", "A", "é", "", "b", None)

        def keyed() -> tuple[Any, ...]:
            hour = random.randint(-1, 9)
            at = None if hour < 0 else _NOON + timedelta(hours=hour)
            return random.choice(keys), random.choice(("1", "2", None)), at

        unique = dict.fromkeys(keyed() for _ in range(300))
        self.known = [(*one, random.choice([None, 0.1, -2.5]), random.choice([None, "", "x"])) for one in unique]
        self.asked = [(number, *keyed()) for number in range(400)]
        self.names = [("a", "one"), ("A", None), ("é", "three"), (None, "none")]

    def tables(self) -> dict[str, str]:
        """Replicated table -> its query."""
        return {name: f"SELECT * FROM {self._schema}.{name}" for name in ("known", "names")}

    def asked_query(self) -> str:
        """The query of the rows that ask."""
        return f"SELECT * FROM {self._schema}.asked"

    def names_of_columns(self) -> list[str]:
        """The columns that `expected` has."""
        return ["id", *(name for lookup in LOOKUPS for name in lookup.column_names())]

    def script(self) -> str:
        """The statements that make the tables."""
        tables = (("known", _KNOWN, self.known), ("asked", _ASKED, self.asked), ("names", _NAMES, self.names))
        made = []
        for name, columns, found in tables:
            typed = ", ".join(f"CAST(t.{column} AS {kind}) AS {column}" for column, kind in columns.items())
            values = ", ".join(f"({', '.join(map(_literal, row))})" for row in found)
            listed = f"(VALUES {values}) AS t ({', '.join(columns)})"
            made.append(f"CREATE TABLE {self._schema}.{name} AS SELECT {typed} FROM {listed}")
        return ";\n".join(made)

    def expected(self) -> list[dict[str, Any]]:
        """The joined rows, in order of their id."""
        labels, joined = dict(self.names), []
        for number, k, part, asked_at in self.asked:
            if k is None or k not in labels:
                continue
            there = (
                []
                if None in (part, asked_at)
                else [row for row in self.known if row[:2] == (k, part) and row[2] is not None and row[2] <= asked_at]
            )
            newest = max(there, key=lambda row: row[2]) if there else None
            young = newest if newest and asked_at - newest[2] <= timedelta(hours=1) else None
            values = (
                number,
                *(newest[3:] if newest else (None, None)),
                *(young[3:] if young else (None, None)),
                labels[k],
            )
            joined.append(dict(zip(self.names_of_columns(), values, strict=True)))
        return joined


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else f"'{value}'"
