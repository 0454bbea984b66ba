"""A contract of which nothing is written that its request and lookups say: what `penstock new` writes.

All that such a contract is made of can be imported from here.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from penstock.contract.columns import column
from penstock.contract.contract import Columns, Contract, Lookup, Output, Value
from penstock.contract.declaring import declares, raised, shown
from penstock.contract.features import (
    Vectors,
    days_between,
    given,
    hour,
    numbers,
    plain_features,
    texts,
    times,
    weekday,
)
from penstock.contract.request_types import kind_of
from penstock.errors import ContractError

__all__ = [
    "Columns",
    "Contract",
    "Lookup",
    "Output",
    "Value",
    "Vectors",
    "days_between",
    "given",
    "hour",
    "numbers",
    "plain_contract",
    "texts",
    "times",
    "weekday",
]


@declares
def plain_contract(
    model: str,
    request: type[msgspec.Struct],
    lookups: tuple[Lookup, ...] = (),
    *,
    entity: tuple[str, ...],
    output: Output,
    compute: Callable[[Columns], Vectors],
    computed: tuple[str, ...] | None = None,
    but: tuple[str, ...] | None = None,
    purpose: str = "",
    asked_at: str = "asked_at",
    unchanged: Literal["exact", "input"] = "exact",
    journal: Literal["strict", "relaxed"] = "strict",
    retired: tuple[str, ...] = (),
    zone: str = "UTC",
) -> Contract:
    """The contract whose features are all numbers and texts of its request and lookups, and those that are computed.

    - `computed`: the names that `compute` returns beside columns, each a number; without it, what it returns for a row
      without any value.
    - `but`: columns that are no features; without it the numbers of the request that identify, because they are of the
      `entity` or the key of a lookup.
    - `purpose`: without it, a sentence about the output.
    - Everything else is as in `Contract`.
    """
    said = "The amount of" if output.kind == "regressor" else "The probability of each value of"
    left_out = identifiers(request, lookups, entity) if but is None else but
    made = _computed(model, request, lookups, compute) if computed is None else computed
    return Contract(
        model=model,
        purpose=purpose or f"{said} {output.name}, by {', '.join(entity)}.",
        request=request,
        entity=entity,
        lookups=lookups,
        features=plain_features(request, lookups, but=left_out, computed=made),
        compute=compute,
        output=output,
        asked_at=asked_at,
        unchanged=unchanged,
        journal=journal,
        retired=retired,
        zone=zone,
    )


def _computed(
    model: str, request: type[msgspec.Struct], lookups: Iterable[Lookup], compute: Callable[[Columns], Vectors]
) -> tuple[str, ...]:
    """The names of what `compute` returns for a row without any value, but those of columns."""
    kinds = {field.name: kind_of(field.type) for field in msgspec.structs.fields(request)}
    kinds |= {f"{one.name}.{own.name}": own.kind for one in lookups for own in one.columns}
    thing, expected = (
        f"features of model {model!r}",
        "a function of the columns that returns a dict of arrays",
    )
    try:
        made = compute({name: column([None], kind) for name, kind in kinds.items()})
    except Exception as error:
        todo = (
            f"It is called for a row without any value. The columns are {', '.join(kinds)}: numpy arrays of numbers, of"
            " texts (None where missing) or of times."
        )
        raise ContractError(thing, expected=expected, found=raised(error), todo=todo) from error
    if not isinstance(made, Mapping):
        raise ContractError(thing, expected=expected, found=shown(made))
    return tuple(name for name in made if name not in kinds)


def identifiers(request: type[msgspec.Struct], lookups: Iterable[Lookup], entity: Iterable[str]) -> tuple[str, ...]:
    """The numbers of a request that say what is asked about or looked up, in the order of its fields."""
    named = {*entity, *(field for lookup in lookups for field in lookup.key.values())}
    fields = msgspec.structs.fields(request)
    return tuple(one.name for one in fields if one.name in named and kind_of(one.type) == "number")
