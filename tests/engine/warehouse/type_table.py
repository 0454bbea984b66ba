"""Which types of each kind of warehouse become which of a book, as the tests try them and docs/warehouses.md has them.

`python -m tests.engine.warehouse.type_table` prints the table.
"""

from dataclasses import dataclass

KINDS = ("DuckDB", "Postgres")


@dataclass(frozen=True)
class TypeCase:
    """Types that become the type `book` of a replicated table, with the same bits. `values` are texts of values."""

    book: str
    duckdb: tuple[str, ...]
    postgres: tuple[str, ...]
    values: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class ReleaseRefusal:
    """A type that is refused by name. `example` is an expression of it."""

    kind: str
    type: str
    example: str
    why: str


KEPT = (
    TypeCase("boolean", ("BOOLEAN",), ("boolean",), ("true", "false")),
    TypeCase("smallint", ("TINYINT", "SMALLINT"), ("smallint",), ("-128", "0", "127")),
    TypeCase("smallint", ("UTINYINT",), ("smallint",), ("0", "255")),
    TypeCase("integer", ("USMALLINT", "INTEGER"), ("integer",), ("0", "65535")),
    TypeCase("bigint", ("UINTEGER", "BIGINT", "UBIGINT"), ("bigint",), ("0", "4294967295")),
    TypeCase("real", ("FLOAT",), ("real",), ("0.1", "-0.0", "NaN", "Infinity", "1e-40")),
    TypeCase(
        "double precision", ("DOUBLE",), ("double precision",), ("0.1", "-0.0", "NaN", "-Infinity", "5e-324", "1e300")
    ),
    TypeCase(
        "double precision",
        ("DOUBLE",),
        ("numeric", "numeric(40,2)"),
        ("0.25", "-1000000", "123456789.5"),
        "`numeric` without declared digits, as `sum` and `avg` return it, or with more than 38",
    ),
    TypeCase("numeric(12,3)", ("DECIMAL(12,3)",), ("numeric(12,3)",), ("0.125", "-999999999.999", "0")),
    TypeCase(
        "numeric(38,0)", ("DECIMAL(38,0)", "HUGEINT"), ("numeric(38,0)",), ("12345678901234567890123456789012345678",)
    ),
    TypeCase("text", ("VARCHAR",), ("text", "varchar", "varchar(9)"), ("", "a", "é ", "日本", "𝄞")),
    TypeCase("text", ("VARCHAR",), ("char(5)", "name"), ("a", "ab", "é"), "without the blanks that pad `char(n)`"),
    TypeCase("text", ("UUID",), ("uuid",), ("0e37df36-f698-11e6-8dd4-cb9ced3df976",)),
    TypeCase("text", ("mood",), ("mood",), ("sad", "ok"), "`mood` is any enumeration; sorted as text"),
    TypeCase("bytea", ("BLOB",), ("bytea",), ("abc", "\\x00", "\\xFF")),
    TypeCase("date", ("DATE",), ("date",), ("0001-01-01", "1969-12-31", "9999-12-31")),
    TypeCase("time without time zone", ("TIME",), ("time",), ("00:00:00", "23:59:59.999999")),
    TypeCase(
        "timestamp without time zone",
        ("TIMESTAMP", "TIMESTAMP_NS"),
        ("timestamp",),
        ("1969-12-31 23:59:59.999999", "2026-03-29 02:30:00"),
    ),
    TypeCase(
        "timestamp without time zone", ("TIMESTAMP_S", "TIMESTAMP_MS"), ("timestamp(0)",), ("2026-03-29 02:30:00",)
    ),
    TypeCase(
        "timestamp with time zone",
        ("TIMESTAMPTZ",),
        ("timestamptz",),
        ("2026-03-29 02:30:00+01", "0001-01-02 00:00:00+00", "9999-12-30 00:00:00+00"),
        "the instant, whatever zone the session, the database or the machine has",
    ),
)
NO_COUNTERPART = "no request has a value of this kind"
REFUSED = (
    ReleaseRefusal("DuckDB", "INTERVAL", "INTERVAL 1 DAY", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "LIST, ARRAY", "[1, 2]", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "STRUCT", "{'a': 1}", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "MAP", "MAP {'a': 1}", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "UNION", "union_value(a := 1)", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "VARIANT", "1::VARIANT", NO_COUNTERPART),
    ReleaseRefusal("DuckDB", "TIMETZ", "'12:00:00+02'::TIMETZ", "an hour that shifts with its zone"),
    ReleaseRefusal("DuckDB", "BIT", "'101'::BIT", "its bytes are DuckDB's own"),
    ReleaseRefusal("DuckDB", "BIGNUM", "1::BIGNUM", "its bytes are DuckDB's own"),
    ReleaseRefusal("Postgres", "interval", "interval '1 day'", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "arrays", "ARRAY[1, 2]", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "composite types", "ROW(1, 2)", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "ranges", "'[1,2)'::int4range", NO_COUNTERPART),
    ReleaseRefusal(
        "Postgres", "json, jsonb", "'{}'::jsonb", "its text is not unique; cast it, or take fields out of it"
    ),
    ReleaseRefusal("Postgres", "time with time zone", "'12:00+02'::timetz", "an hour that shifts with its zone"),
    ReleaseRefusal("Postgres", "money", "1::money", "its digits depend on the session"),
    ReleaseRefusal("Postgres", "bit", "B'101'", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "inet, cidr, macaddr", "'1.2.3.4'::inet", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "geometric types", "point '(1,2)'", NO_COUNTERPART),
    ReleaseRefusal("Postgres", "oid", "1::oid", NO_COUNTERPART),
)
VALUES = (
    ("NaN in a numeric", "Postgres", "'NaN'::numeric(5,2)"),
    ("infinite days and instants", "DuckDB", "'infinity'::TIMESTAMP"),
    ("infinite days and instants", "Postgres", "'infinity'::timestamptz"),
    ("whole numbers above a bigint", "DuckDB", "18446744073709551615::UBIGINT"),
    ("instants finer than a microsecond", "DuckDB", "'2026-01-01 00:00:00.123456789'::TIMESTAMP_NS"),
)
"""Values that are refused with their column named, in types that are kept."""


def table() -> str:
    """The table of the docs."""
    lines = ["| in the book | from DuckDB | from Postgres | |", "|---|---|---|---|"]
    for kept in KEPT:
        names = [", ".join(f"`{name}`" for name in kind) for kind in (kept.duckdb, kept.postgres)]
        lines.append(f"| `{kept.book}` | {names[0]} | {names[1]} | {kept.note} |")
    lines += ["", "| refused | in | why |", "|---|---|---|"]
    lines += [f"| {one.type} | {one.kind} | {one.why} |" for one in REFUSED]
    lines += [f"| {what} | {kind} | a book has no such value |" for what, kind, _ in VALUES]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
