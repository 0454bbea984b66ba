"""The warehouse join for training: each row has the lookup values that were known at its asking time."""

from collections.abc import Collection, Mapping

from penstock.contract.contract import Contract, Lookup
from penstock.errors import ContractError
from penstock.extract.lookup_join import ASKED, INLINES, AsOfJoin, EqualJoin, MatchJoin, WindowJoin, common_table
from penstock.warehouse.interface import quoted
from penstock.warehouse.query_text import subquery

AS_OF = {"duckdb": AsOfJoin, "clickhouse": AsOfJoin, "snowflake": MatchJoin}
"""The dialects with an ASOF JOIN, and its form there."""
LONGEST_NAMES = {"postgresql": 63, "redshift": 127}
"""Bytes of a column's name in the dialects that cut off the rest without an error."""


def training_query(
    contract: Contract,
    base: str,
    tables: Mapping[str, str],
    dialect: str,
    *,
    every_row: bool = False,
    only_read: Collection[str] = (),
) -> str:
    """The rows of `base` with every lookup's columns, named `lookup.column`.

    - `tables`: replicated table -> the query that extracts it.
    - An `as_of` lookup joins the newest row that is not later than the asking time, nor older than its `max_age`, in
      the form that suits the dialect (see `lookup_join`). The result is the same in every form.
    - `only_read`: those of the queries that cost little to run twice (see `Estimate.only_reads`).
    - A row for which a lookup with `missing="reject"` finds nothing is left out, because the service would refuse it.
    - With `every_row` none is left out, and each lookup has one more column, see `found_name`.

    ContractError for a lookup in no table, and for names that the dialect would cut off.
    """
    _demand_names(contract, dialect)
    inlined = only_read if dialect in INLINES else ()
    before = [common_table(ASKED, subquery(base), inlined=base in inlined)]
    columns, joins, demanded = [f"{ASKED}.*"], [], []
    for lookup in contract.lookups:
        if lookup.table not in tables:
            raise ContractError(
                f"lookup {lookup.name!r} of model {contract.model!r}",
                expected=f"a replicated table, one of {', '.join(tables)}",
                found=repr(lookup.table),
            )
        table = tables[lookup.table]
        join = _join(lookup, subquery(table), dialect, inlined=table in inlined)
        before += join.common_tables()
        joins += join.joins()
        columns += [
            f"{join.column(column.name)} AS {quoted(name)}"
            for column, name in zip(lookup.columns, lookup.column_names(), strict=True)
        ]
        found = f"{join.column(next(iter(lookup.key)))} IS NOT NULL"
        if every_row:
            columns.append(f"CASE WHEN {found} THEN 1 ELSE 0 END AS {quoted(found_name(lookup))}")
        elif lookup.missing == "reject":
            demanded.append(found)
    where = f"\nWHERE {' AND '.join(demanded)}" if demanded else ""
    named, listed = ",\n".join(before), ",\n    ".join(columns)
    return f"WITH {named}\nSELECT {listed}\nFROM {ASKED}\n" + "\n".join(joins) + where


def found_name(lookup: Lookup) -> str:
    """The column that is 1 where a lookup found a row, else 0. No looked-up column is called so."""
    return f"{lookup.name}."


def _demand_names(contract: Contract, dialect: str) -> None:
    most = LONGEST_NAMES.get(dialect)
    long = [name for lookup in contract.lookups for name in lookup.column_names() if most and len(name.encode()) > most]
    if long:
        raise ContractError(
            f"lookups of model {contract.model!r}",
            expected=f"lookup.column of at most {most} bytes; a warehouse of the kind {dialect!r} cuts off more",
            found=", ".join(f"{name!r} of {len(name.encode())}" for name in long),
            todo="Give the lookup a shorter name.",
        )


def _join(lookup: Lookup, query: str, dialect: str, *, inlined: bool) -> EqualJoin:
    form = EqualJoin if lookup.as_of is None else AS_OF.get(dialect, WindowJoin)
    return form(lookup, query, dialect, inlined)
