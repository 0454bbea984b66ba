"""Which types of each kind of warehouse become which of a book, as the tests try them and docs/warehouses.md has them.

`python -m tests.engine.warehouse.type_table` prints the table.
"""

from dataclasses import dataclass

KINDS = ("DuckDB", "Postgres", "ClickHouse")


@dataclass(frozen=True)
class TypeCase:
    """Types that become the type `book` of a replicated table, with the same bits. `values` are texts of values."""

    book: str
    duckdb: tuple[str, ...]
    postgres: tuple[str, ...]
    clickhouse: tuple[str, ...]
    values: tuple[str, ...]
    note: str = ""

    @property
    def types(self) -> dict[str, tuple[str, ...]]:
        """Kind of warehouse -> its types."""
        return {"DuckDB": self.duckdb, "Postgres": self.postgres, "ClickHouse": self.clickhouse}


@dataclass(frozen=True)
class ReleaseRefusal:
    """A type that is refused by name. `example` is an expression of it."""

    kind: str
    type: str
    example: str
    why: str


KEPT = (
    TypeCase("boolean", ("BOOLEAN",), ("boolean",), ("Bool",), ("true", "false")),
    TypeCase("smallint", ("TINYINT", "SMALLINT"), ("smallint",), ("Int8", "Int16"), ("-128", "0", "127")),
    TypeCase("smallint", ("UTINYINT",), ("smallint",), ("UInt8",), ("0", "255")),
    TypeCase("integer", ("USMALLINT", "INTEGER"), ("integer",), ("UInt16", "Int32"), ("0", "65535")),
    TypeCase(
        "bigint", ("UINTEGER", "BIGINT", "UBIGINT"), ("bigint",), ("UInt32", "Int64", "UInt64"), ("0", "4294967295")
    ),
    TypeCase("real", ("FLOAT",), ("real",), ("Float32",), ("0.1", "-0.0", "NaN", "Infinity", "1e-40")),
    TypeCase(
        "double precision",
        ("DOUBLE",),
        ("double precision",),
        ("Float64",),
        ("0.1", "-0.0", "NaN", "-Infinity", "5e-324", "1e300"),
    ),
    TypeCase(
        "double precision",
        ("DOUBLE",),
        ("numeric", "numeric(40,2)"),
        ("Decimal(40,2)",),
        ("0.25", "-1000000", "123456789.5"),
        "`numeric` without declared digits, as `sum` and `avg` return it, or with more than 38",
    ),
    TypeCase(
        "numeric(12,3)", ("DECIMAL(12,3)",), ("numeric(12,3)",), ("Decimal(12,3)",), ("0.125", "-999999999.999", "0")
    ),
    TypeCase(
        "numeric(38,0)",
        ("DECIMAL(38,0)", "HUGEINT"),
        ("numeric(38,0)",),
        ("Decimal(38,0)", "Int128", "UInt128"),
        ("12345678901234567890123456789012345678",),
    ),
    TypeCase(
        "text",
        ("VARCHAR",),
        ("text", "varchar", "varchar(9)"),
        ("String", "LowCardinality(Nullable(String))"),
        ("", "a", "é ", "日本", "𝄞"),
    ),
    TypeCase(
        "text",
        ("VARCHAR",),
        ("char(5)", "name"),
        ("FixedString(5)",),
        ("a", "ab", "é"),
        "without the blanks that pad `char(n)`, and the zeros of `FixedString(n)`",
    ),
    TypeCase("text", ("UUID",), ("uuid",), ("UUID",), ("0e37df36-f698-11e6-8dd4-cb9ced3df976",)),
    TypeCase(
        "text", ("mood",), ("mood",), ("Enum('sad', 'ok')",), ("sad", "ok"), "`mood` is any enumeration; sorted as text"
    ),
    TypeCase("bytea", ("BLOB",), ("bytea",), (), ("abc", "\\x00", "\\xFF")),
    TypeCase("date", ("DATE",), ("date",), ("Date", "Date32"), ("1970-01-01", "2026-11-25")),
    TypeCase("date", ("DATE",), ("date",), ("Date32",), ("0001-01-01", "1969-12-31", "9999-12-31")),
    TypeCase("time without time zone", ("TIME",), ("time",), ("Time64(6)",), ("00:00:00", "23:59:59.999999")),
    TypeCase(
        "timestamp without time zone",
        ("TIMESTAMP", "TIMESTAMP_NS"),
        ("timestamp",),
        ("DateTime64(6)", "DateTime64(9)"),
        ("1969-12-31 23:59:59.999999", "2026-03-29 02:30:00"),
    ),
    TypeCase(
        "timestamp without time zone",
        ("TIMESTAMP_S", "TIMESTAMP_MS"),
        ("timestamp(0)",),
        ("DateTime", "DateTime64(3)"),
        ("2026-03-29 02:30:00",),
    ),
    TypeCase(
        "timestamp with time zone",
        ("TIMESTAMPTZ",),
        ("timestamptz",),
        ("DateTime64(6, 'UTC')", "DateTime64(6, 'Asia/Kathmandu')"),
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
    ReleaseRefusal("DuckDB", "UHUGEINT", "1::UHUGEINT", "it may have more than 38 digits; cast it"),
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
REFUSED += tuple(
    ReleaseRefusal("ClickHouse", kind, example, why)
    for kind, example, why in (
        ("Array, Tuple, Map, Nested", "[1, 2]", NO_COUNTERPART),
        ("JSON, Dynamic, Variant", "CAST(1 AS Dynamic)", "its type differs from row to row; cast it"),
        ("Interval…", "INTERVAL 1 DAY", NO_COUNTERPART),
        ("IPv4, IPv6", "toIPv4('1.2.3.4')", NO_COUNTERPART),
        ("Point, Ring, Polygon, …", "CAST((1., 2.) AS Point)", NO_COUNTERPART),
        ("AggregateFunction", "sumState(1)", "a state, which `-Merge` finishes"),
        ("Int256, UInt256", "toInt256(1)", "more than 38 digits"),
        ("Nothing", "NULL", "a null without a type; cast it"),
    )
)
VALUES = (
    ("NaN in a numeric", "Postgres", "'NaN'::numeric(5,2)"),
    ("infinite days and instants", "DuckDB", "'infinity'::TIMESTAMP"),
    ("infinite days and instants", "Postgres", "'infinity'::timestamptz"),
    ("whole numbers above a bigint", "DuckDB", "18446744073709551615::UBIGINT"),
    ("whole numbers above a bigint", "ClickHouse", "18446744073709551615"),
    ("more than 38 digits", "DuckDB", "170141183460469231731687303715884105727::HUGEINT"),
    ("bytes that are no UTF-8", "ClickHouse", "unhex('ff')"),
    ("instants finer than a microsecond", "ClickHouse", "toDateTime64('2026-01-01 00:00:00.123456789', 9)"),
    ("instants finer than a microsecond", "DuckDB", "'2026-01-01 00:00:00.123456789'::TIMESTAMP_NS"),
)
"""Values that are refused with their column named, in types that are kept."""


FURTHER_KINDS = ("Snowflake", "BigQuery", "Databricks", "Trino")
FURTHER: tuple[tuple[str, tuple[str, str, str, str]], ...] = (
    ("boolean", ("BOOLEAN", "BOOL", "BOOLEAN", "boolean")),
    ("smallint", ("NUMBER(4,0)", "", "TINYINT, SMALLINT", "tinyint, smallint")),
    ("integer", ("NUMBER(9,0)", "", "INT", "integer")),
    ("bigint", ("NUMBER(18,0), NUMBER(38,0)", "INT64", "BIGINT", "bigint")),
    ("real", ("", "", "FLOAT", "real")),
    ("double precision", ("FLOAT", "FLOAT64, BIGNUMERIC", "DOUBLE", "double")),
    ("numeric(12,3)", ("NUMBER(12,3)", "", "DECIMAL(12,3)", "decimal(12,3)")),
    ("numeric(38,9)", ("NUMBER(38,9)", "NUMERIC", "DECIMAL(38,9)", "decimal(38,9)")),
    ("text", ("VARCHAR", "STRING", "STRING, VARCHAR(9), CHAR(9)", "varchar, varchar(9), char(9), uuid")),
    ("bytea", ("BINARY", "BYTES", "BINARY", "varbinary")),
    ("date", ("DATE", "DATE", "DATE", "date")),
    ("time without time zone", ("TIME", "TIME", "", "time(6)")),
    ("timestamp without time zone", ("TIMESTAMP_NTZ", "DATETIME", "TIMESTAMP_NTZ", "timestamp(3), timestamp(6)")),
    (
        "timestamp with time zone",
        ("TIMESTAMP_TZ, TIMESTAMP_LTZ", "TIMESTAMP", "TIMESTAMP", "timestamp(6) with time zone"),
    ),
)
"""Type in the book -> types of the kinds that cannot run here. All others are refused by name."""


def further_table() -> str:
    """The second table of the docs."""
    lines = [f"| in the book | from {' | from '.join(FURTHER_KINDS)} |", "|---" * (len(FURTHER_KINDS) + 1) + "|"]
    for book, kinds in FURTHER:
        named = [f"`{kind.replace(', ', '`, `')}`" if kind else "none" for kind in kinds]
        lines.append(f"| `{book}` | {' | '.join(named)} |")
    return "\n".join(lines)


def table() -> str:
    """The table of the docs."""
    lines = [
        "".join(["| in the book |", *(f" from {kind} |" for kind in KINDS), " |"]),
        "|---" * (len(KINDS) + 2) + "|",
    ]
    for kept in KEPT:
        names = [", ".join(f"`{name}`" for name in kept.types[kind]) or "none" for kind in KINDS]
        lines.append(f"| `{kept.book}` | {' | '.join(names)} | {kept.note} |")
    lines += ["", "| refused | in | why |", "|---|---|---|"]
    lines += [f"| {one.type} | {one.kind} | {one.why} |" for one in REFUSED]
    lines += [f"| {what} | {kind} | a book has no such value |" for what, kind, _ in VALUES]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(), further_table(), sep="\n\n")
