"""The warehouse join for training: each row has the lookup values that were known at its asking time."""

from collections.abc import Mapping, Sequence

from penstock.contract.contract import Contract, Lookup
from penstock.errors import ContractError
from penstock.warehouse.interface import quoted
from penstock.warehouse.query_text import subquery


def training_query(contract: Contract, base: str, tables: Mapping[str, str], dialect: str) -> str:
    """The rows of `base` with every lookup's columns, named `lookup.column`.

    - `tables`: replicated table -> the query that extracts it.
    - An `as_of` lookup is an ASOF join in DuckDB, and a lateral join elsewhere. Both join the newest row that is not
      later than the asking time.
    - A row for which a lookup with `missing="reject"` finds nothing is left out, because the service would refuse it.
    """
    columns, joins, demanded = ["asked.*"], [], []
    for lookup in contract.lookups:
        if lookup.table not in tables:
            raise ContractError(
                f"lookup {lookup.name!r} of model {contract.model!r}",
                expected=f"a replicated table, one of {', '.join(tables)}",
                found=repr(lookup.table),
            )
        alias = quoted(f"lookup_{lookup.name}")
        query = subquery(tables[lookup.table])
        joins.append(_join(lookup, alias, query, dialect))
        columns += [
            f"{alias}.{quoted(column.name)} AS {quoted(name)}"
            for column, name in zip(lookup.columns, lookup.column_names(), strict=True)
        ]
        if lookup.missing == "reject":
            demanded.append(f"{alias}.{quoted(next(iter(lookup.key)))} IS NOT NULL")
    where = f"\nWHERE {' AND '.join(demanded)}" if demanded else ""
    listed = ",\n    ".join(columns)
    return f"SELECT {listed}\nFROM (\n{subquery(base)}) AS asked\n" + "\n".join(joins) + where


def _join(lookup: Lookup, alias: str, query: str, dialect: str) -> str:
    if lookup.as_of is None:
        return f"LEFT JOIN (\n{query}) AS {alias}\n    ON {' AND '.join(_equal(lookup, alias))}"
    known_at, asked_at = lookup.as_of
    if dialect == "duckdb":
        conditions = [*_equal(lookup, alias), f"asked.{quoted(asked_at)} >= {alias}.{quoted(known_at)}"]
        return f"ASOF LEFT JOIN (\n{query}) AS {alias}\n    ON {' AND '.join(conditions)}"
    conditions = [*_equal(lookup, "known"), f"known.{quoted(known_at)} <= asked.{quoted(asked_at)}"]
    return (
        f"LEFT JOIN LATERAL (\nSELECT * FROM (\n{query}) AS known WHERE {' AND '.join(conditions)}\n"
        f"ORDER BY known.{quoted(known_at)} DESC LIMIT 1\n) AS {alias} ON true"
    )


def _equal(lookup: Lookup, alias: str) -> Sequence[str]:
    return [f"{alias}.{quoted(column)} = asked.{quoted(field)}" for column, field in lookup.key.items()]
