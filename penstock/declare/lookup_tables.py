"""The replicated tables of a model's lookups: what each lookup says of its table is not written again."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from penstock.contract.contract import Contract
from penstock.contract.declaring import declares
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError

DAILY = "30 4 * * *"
NOTHING: Mapping[str, int] = {}


@declares
def lookup_tables(
    contract: Contract,
    folder: Path,
    *,
    minimum_rows: Mapping[str, int] = NOTHING,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    after: Mapping[str, str] | None = None,
    cron: str = DAILY,
    fresh_within: timedelta = timedelta(hours=36),
    owner: str = "",
) -> tuple[ReplicatedTable, ...]:
    """A table for each lookup of the contract whose query is in `folder`, as `<table>.sql`; PenstockError if none is.

    A table without such a file is declared elsewhere: by another model that looks up in it too.

    - Its key is the lookup's, with the time of `as_of`; its columns have the kinds that lookups want.
    - `minimum_rows`: table -> the fewest rows that may be published. `after`: table -> what its query reads, where that
      is not `warehouse/<table>`.
    - `bounds`: `table.column` -> least and greatest value; an extract with others is refused.
    - `cron`, `fresh_within`, `owner`: of all of them; see `ReplicatedTable`.
    """
    made: dict[str, ReplicatedTable] = {}
    for lookup in contract.lookups:
        path = folder / f"{lookup.table}.sql"
        if lookup.table in made or not path.exists():
            continue
        own = {name.partition(".")[2]: range_ for name, range_ in (bounds or {}).items() if _of(name) == lookup.table}
        made[lookup.table] = ReplicatedTable(
            lookup.table,
            path.read_text(encoding="utf-8"),
            (*lookup.key, *((lookup.as_of[0],) if lookup.as_of else ())),
            lookups=tuple(one for one in contract.lookups if one.table == lookup.table),
            bounds=own,
            minimum_rows=minimum_rows.get(lookup.table, 1),
            after=((after or {}).get(lookup.table, f"warehouse/{lookup.table}"),),
            cron=cron,
            fresh_within=fresh_within,
            owner=owner,
            description=f"What {contract.model} looks up as {lookup.name}.",
        )
    named = [*minimum_rows, *map(_of, bounds or ()), *(after or ())]
    if unknown := [repr(name) for name in dict.fromkeys(named) if name not in made]:
        raise PenstockError(
            f"lookup_tables of model {contract.model!r}",
            expected=f"tables with a query in {folder.name}: {', '.join(made) or 'there is none'}",
            found=", ".join(unknown),
        )
    return tuple(made.values())


def _of(name: str) -> str:
    return name.partition(".")[0]
