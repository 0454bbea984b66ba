"""The warehouse join for training: each row sees of each lookup what was known when it was asked."""

from collections.abc import Mapping, Sequence

from penstock.contract.contract import Contract, Lookup
from penstock.errors import ContractError


def training_query(contract: Contract, base: str, tables: Mapping[str, str], dialect: str) -> str:
    """The rows of `base` with every lookup's columns, named `lookup.column`.

    `tables` maps a replicated table to the query that extracts it. In DuckDB an `as_of` lookup is an ASOF
    join, elsewhere a lateral one; both take the newest row that is not later than the asking time.
    Rows for which a lookup that rejects finds nothing are left out, as the service would refuse them.
    """
    columns, joins, demanded = ["asked.*"], [], []
    for lookup in contract.lookups:
        if lookup.table not in tables:
            raise ContractError(
                f"lookup {lookup.name!r} of model {contract.model!r}",
                expected=f"a replicated table, one of {', '.join(tables)}",
                found=repr(lookup.table),
            )
        alias = _quoted(f"lookup_{lookup.name}")
        query = tables[lookup.table].strip().rstrip(";")
        joins.append(_join(lookup, alias, query, dialect))
        columns += [
            f"{alias}.{_quoted(column.name)} AS {_quoted(name)}"
            for column, name in zip(lookup.columns, lookup.column_names(), strict=True)
        ]
        if lookup.missing == "reject":
            demanded.append(f"{alias}.{_quoted(next(iter(lookup.key)))} IS NOT NULL")
    where = f"\nWHERE {' AND '.join(demanded)}" if demanded else ""
    listed = ",\n    ".join(columns)
    return f"SELECT {listed}\nFROM (\n{base.strip().rstrip(';')}\n) AS asked\n" + "\n".join(joins) + where


def _join(lookup: Lookup, alias: str, query: str, dialect: str) -> str:
    if lookup.as_of is None:
        return f"LEFT JOIN (\n{query}\n) AS {alias}\n    ON {' AND '.join(_equal(lookup, alias))}"
    known_at, asked_at = lookup.as_of
    if dialect == "duckdb":
        conditions = [*_equal(lookup, alias), f"asked.{_quoted(asked_at)} >= {alias}.{_quoted(known_at)}"]
        return f"ASOF LEFT JOIN (\n{query}\n) AS {alias}\n    ON {' AND '.join(conditions)}"
    conditions = [*_equal(lookup, "known"), f"known.{_quoted(known_at)} <= asked.{_quoted(asked_at)}"]
    return (
        f"LEFT JOIN LATERAL (\nSELECT * FROM (\n{query}\n) AS known WHERE {' AND '.join(conditions)}\n"
        f"ORDER BY known.{_quoted(known_at)} DESC LIMIT 1\n) AS {alias} ON true"
    )


def _equal(lookup: Lookup, alias: str) -> Sequence[str]:
    return [f"{alias}.{_quoted(column)} = asked.{_quoted(field)}" for column, field in lookup.key.items()]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
