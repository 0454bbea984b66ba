"""Which names models, tables, lookups and columns can have, and why."""

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from penstock.errors import ContractError

if TYPE_CHECKING:
    from penstock.contract.contract import Contract

LONGEST_IN_POSTGRES = 63
"""Bytes: https://www.postgresql.org/docs/current/limits.html"""
LONGEST_MODEL = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def demand_name(what: str, name: str, longest: int = LONGEST_IN_POSTGRES) -> None:
    """ContractError for a name that Dagster's assets, a URL or a Postgres relation cannot have."""
    if not _PLAIN.fullmatch(name) or len(name) > longest:
        raise ContractError(
            f"name of a {what}",
            expected=f"1 to {longest} of the characters A-Z, a-z, 0-9 and _, no digit first, because Dagster's assets,"
            " URLs and relations of Postgres are called so",
            found=repr(name),
            todo="Call it otherwise; what it is called in the warehouse does not matter.",
        )


def demand_names(contract: "Contract") -> None:
    """ContractError with every name of a contract that cannot be."""
    demand_name("model", contract.model, LONGEST_MODEL)
    faults = [
        f"field {field.name!r} of the request is renamed to {field.encode_name!r}: fields have one name everywhere"
        for field in msgspec.structs.fields(contract.request)
        if field.encode_name != field.name
    ]
    for what, names in (
        ("lookup", [lookup.name for lookup in contract.lookups]),
        ("feature", [feature.name for feature in contract.features]),
        *((f"column of lookup {one.name!r}", [column.name for column in one.columns]) for one in contract.lookups),
    ):
        faults += [f"{what} {name!r} is declared {count} times" for name, count in Counter(names).items() if count > 1]
    for lookup in contract.lookups:
        if not lookup.name or "." in lookup.name:
            faults.append(f"lookup {lookup.name!r} has no name, or one with a dot, which is between lookup and column")
        used = [*lookup.key, *(lookup.as_of or ())[:1], *(column.name for column in lookup.columns)]
        faults += [
            f"column {name!r} of lookup {lookup.name!r} is not of 1 to {LONGEST_IN_POSTGRES} bytes, as Postgres has it"
            for name in dict.fromkeys(used)
            if not 1 <= len(name.encode()) <= LONGEST_IN_POSTGRES
        ]
    if faults:
        raise ContractError(
            f"names of the contract of model {contract.model!r}",
            expected="names that book, warehouse and JSON can have",
            found="; ".join(faults),
            todo="Call these otherwise; a query can rename columns with AS.",
        )
