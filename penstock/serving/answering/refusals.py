"""Requests about a row that has to be there and is not."""

from collections.abc import Sequence

import msgspec

from penstock.contract.contract import Contract, Lookup
from penstock.lookups.found import Looked
from penstock.serving.http.problems import Fault, refused


def without_row(contract: Contract, looked: Looked) -> dict[int, list[Lookup]]:
    """The places of requests that are refused, each with the lookups that should have found a row."""
    wanted = {lookup.name: lookup for lookup in contract.lookups if lookup.missing == "reject"}
    if not wanted or not any(looked.missing):
        return {}
    places = {
        place: [wanted[name] for name in missing if name in wanted] for place, missing in enumerate(looked.missing)
    }
    return {place: lookups for place, lookups in places.items() if lookups}


def refusal(asked: Sequence[tuple[str, msgspec.Struct, Sequence[Lookup]]]) -> Exception:
    """The problem of one HTTP request: its requests that find no row, each by its JSON path."""
    faults = []
    for at, request, lookups in asked:
        for lookup in lookups:
            key = {field: getattr(request, field) for field in lookup.key.values()}
            fields = ", ".join(f"{at}.{field}" for field in key)
            found = f"none for {msgspec.json.encode(key).decode()}"
            faults.append(Fault(fields, f"a row in table {lookup.table!r}", found))
    return refused(*faults)
