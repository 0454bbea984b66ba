"""What is wrong about the text of a query before any warehouse has seen it."""

from collections.abc import Collection, Iterable

from penstock.contract.declaring import nearest
from penstock.errors import PenstockError
from penstock.sql_text import readings, statements, value_names


def query_faults(
    thing: str, query: str, bound: Collection[str] = (), optional: Collection[str] = (), *, script: bool = False
) -> list[PenstockError]:
    """The faults of a query in which `bound` are values that it needs, and `optional` others that it may have.

    A script may have several statements.
    """
    if not query.strip():
        return [PenstockError(thing, expected="SQL", found="an empty text")]
    faults = []
    read = readings(query)  # the kind of warehouse is not known here: what is right in one of them is no fault
    if (count := min(len(statements(one)) for one in read)) > 1 and not script:
        faults.append(PenstockError(thing, expected="one query", found=f"{count} statements"))
    if lacking := [name for name in bound if f":{name}" not in query]:
        window = "They are bound when it runs: `WHERE asked_at >= :from AND asked_at < :until`."
        expected, found = " and ".join(f":{name}" for name in bound), f"a query without {_colons(lacking)}"
        faults.append(PenstockError(thing, expected=expected, found=found, todo=window if "from" in bound else ""))
    known = (*bound, *optional)
    if unknown := [name for name in value_names(read[0]) if name not in known and name in value_names(read[-1])]:
        expected = f"no other values to bind than {_colons(known)}" if known else "no values to bind"
        todo = nearest(unknown[0], known) if known else "Write the value itself, or a subquery that selects it."
        faults.append(PenstockError(thing, expected=expected, found=_colons(unknown), todo=todo))
    return faults


def _colons(names: Iterable[str]) -> str:
    return ", ".join(f":{name}" for name in names)
