"""Functions of standard SQL that ClickHouse has under the same name with another meaning.

- Of texts: `lower`, `upper`, `initcap`, `left`, `right`, `substr`, `substring`, `lpad` and `rpad` work on bytes there.
- Of windows: `first_value` and `last_value` leave out nulls there.
"""

import re
from collections.abc import Iterator, Mapping

from penstock.warehouse.clickhouse.time_zones import Edit

_OF_CHARACTERS = {
    "lower": "lowerUTF8",
    "upper": "upperUTF8",
    "initcap": "initcapUTF8",
    "left": "leftUTF8",
    "right": "rightUTF8",
    "substr": "substringUTF8",
    "substring": "substringUTF8",
    "lpad": "leftPadUTF8",
    "rpad": "rightPadUTF8",
}
_CALL = re.compile(
    rf"(?<![.\w])(?P<name>{'|'.join(_OF_CHARACTERS)}|first_value|last_value)\s*(?P<open>\()", re.IGNORECASE
)
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)
_OVER = re.compile(r"\s*OVER\b", re.IGNORECASE)


def functions(hidden: str, ends: Mapping[int, int]) -> Iterator[Edit]:
    """The edits that make them mean the same. `ends` is where a parenthesis opens -> where it closes."""
    for found in _CALL.finditer(hidden):
        name, end = found["name"].lower(), ends.get(found.start("open"))
        if end is None:
            continue
        if name not in _OF_CHARACTERS:
            sent = f"{name}_respect_nulls" if _OVER.match(hidden, end + 1) else ""
        else:
            sent = _OF_CHARACTERS[name]
            if name == "substring" and _FROM.search(hidden, found.end(), end):
                sent = ""  # `substring(x FROM 2 FOR 3)` is no function call
        if sent:
            yield found.start("name"), found.end("name"), sent
