"""A query that was written for one kind of warehouse and is now read from another: what cannot be the same is refused.

The last snapshot says of which kind it was. A query whose text has changed since is one for the new kind.
"""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa

from penstock.errors import Faults, PenstockError, demand_none
from penstock.rows.types import postgres_columns, stored_schema
from penstock.snapshots.snapshot import Snapshot
from penstock.sql_text import TOKEN
from penstock.warehouse.query_text import outside

NAMES = {"duckdb": "DuckDB", "postgresql": "Postgres", "clickhouse": "ClickHouse"}
AMBIGUOUS: tuple[tuple[str, str, str], ...] = (
    (
        r"/(?!\s*(?:CAST\s*\(|nullif\s*\(\s*CAST|\d[\d.]*e[-+]?\d))(?<!precision\)/)(?<!precision\) /)",
        "of whole numbers is whole in Postgres and not elsewhere, of decimals it keeps other digits in each",
        "divide by CAST(… AS double precision), or by a number such as 2.0e0",
    ),
    (
        r"\bround\s*\(",
        "of a half is the even number in Postgres and ClickHouse, the one farther from zero in DuckDB",
        "floor(x + 0.5e0)",
    ),
    (r"(?<!char_)\blength\s*\(", "counts bytes in ClickHouse, characters elsewhere", "char_length(…)"),
    (r"\bconcat\s*\(", "with a null is null in ClickHouse, and leaves the null out elsewhere", "||, and coalesce"),
    (r"\bDESC\b(?!\s+NULLS\b)", "has nulls first in Postgres, last elsewhere", "DESC NULLS LAST"),
    (r"\bIN\s*\([^()]*\bNULL\b", "is false in ClickHouse, null elsewhere, where no other is equal", "the list without"),
)
"""What kinds of warehouses read without an error and otherwise: pattern, how, and what they all read alike."""


_BACKSLASH = (
    "has a backslash, which escapes in ClickHouse, Redshift, Snowflake, BigQuery and Databricks",
    "the character itself, or in a pattern a class such as [0-9] or [.]",
)


def same_reading(
    table: str, query: str, schema: pa.Schema, last: Snapshot | None, dialect: str
) -> Callable[[str], None]:
    """What refuses the id of the new rows, which have the `schema`, where they may be others than those of `last` only
    because another kind of warehouse reads this query otherwise.

    PenstockError at once where a column has another name or type there.
    """
    if last is None or last.manifest.dialect in ("", dialect) or query not in last.manifest.query:
        return lambda _: None
    before, now = (NAMES.get(name, name) for name in (last.manifest.dialect, dialect))
    kinds = dict(last.manifest.columns)
    of_types = [
        PenstockError(
            f"column {name!r} of {table!r}",
            expected=f"{kinds[name]}, as the last snapshot has it from {before}",
            found=f"{kind} from {now}",
            todo="Cast it in the query: the kinds have types of their own for such an expression.",
        )
        for name, kind in postgres_columns(stored_schema(schema, table, for_book=False))
        if kinds.get(name, kind) != kind
    ]
    names = [[name for name in listed if "." not in name] for listed in (kinds, schema.names)]  # lookups may be others
    if names[0] != names[1]:
        fault = PenstockError(
            f"columns of {table!r}",
            expected=f"{', '.join(names[0])}, as the last snapshot has them from {before}",
            found=f"{', '.join(names[1])} from {now}",
            todo="Name each by AS, in small letters or between double quotes: some kinds change the case of others.",
        )
        of_types.insert(0, fault)
    of_words = [
        PenstockError(
            f"query of {table!r}",
            expected=f"the rows of the last snapshot, or SQL that {now} reads as {before} did, which made it",
            found=f"other rows, and {said!r}, which {how}",
            todo=f"Write {instead}. A query whose text has changed is taken as one for {now}.",
        )
        for said, how, instead in ambiguous(query)
    ]
    if of_types:
        raise Faults([*of_types, *of_words])
    return lambda made: demand_none(of_words if made != last.id else [])


def ambiguous(query: str) -> Sequence[tuple[str, str, str]]:
    """What of a query kinds read otherwise: the words, how, and what to write instead."""
    hidden = outside(query)
    escaping = [token[0] for token in TOKEN.finditer(query) if token[0].startswith("'") and "\\" in token[0]]
    return [(text, *_BACKSLASH) for text in escaping] + [
        (query[found.start() : found.end()].strip(), how, instead)
        for pattern, how, instead in AMBIGUOUS
        for found in re.finditer(pattern, hidden, re.IGNORECASE)
    ]
