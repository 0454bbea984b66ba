"""Conditions that are columns: a boolean in standard SQL, a UInt8 in ClickHouse."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Edit = tuple[int, int, str]
"""What stands from one place of a text to another becomes this."""
_TOKEN = re.compile(
    r"""
    (?P<open> \( ) | (?P<close> \) ) | (?P<comma> , )
  | (?P<other> -> | => | \? )
  | (?P<condition> <> | != | <= | >= | = | < | >
      | \b(?: IS\s+(?:NOT\s+)?DISTINCT\s+FROM | IS | NOT | IN | LIKE | ILIKE | BETWEEN | AND | OR )\b )
  | \b(?: (?P<select> SELECT (?:\s+DISTINCT)? ) | (?P<case> CASE ) | (?P<end> END ) | (?P<as> AS ) )\b
  | (?P<over> ; | \b(?: FROM | UNION | EXCEPT | INTERSECT | WHERE | GROUP | ORDER | LIMIT | INTO )\b )
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass
class Item:
    """An item of a select list, where `begin` is a place; else what is no list.

    - `named`: where its last AS is. `condition`: whether its outermost operator is one. `veto`: whether it may be none.
    - `cases`: how many CASE are open.
    """

    begin: int | None = None
    named: int | None = None
    condition: bool = False
    veto: bool = False
    cases: int = 0


def conditions(hidden: str) -> Iterator[Edit]:
    """The edits that cast each condition of a select list which has a name to Bool; a null stays one.

    `hidden` is the text without what is in texts, quoted names and comments.
    """
    levels = [Item()]
    for token in _TOKEN.finditer(hidden):
        item, kind = levels[-1], token.lastgroup
        if kind == "open":
            levels.append(Item())
        elif kind == "close":
            yield from _cast(item)
            if len(levels) > 1:
                levels.pop()
        elif kind == "select":
            levels[-1] = Item(begin=token.end())
        elif kind in ("case", "end"):
            item.cases += 1 if kind == "case" else -1
        elif item.cases or item.begin is None:
            continue
        elif kind in ("comma", "over"):
            yield from _cast(item)
            levels[-1] = Item(begin=token.end() if kind == "comma" else None)
        elif kind == "as":
            item.named = token.start()
        else:
            item.condition |= kind == "condition"
            item.veto |= kind == "other"
    yield from _cast(levels[-1])


def _cast(item: Item) -> Iterator[Edit]:
    if item.begin is not None and item.named is not None and item.condition and not item.veto:
        yield item.begin, item.begin, " CAST(("
        yield item.named, item.named, ") AS Bool) "
