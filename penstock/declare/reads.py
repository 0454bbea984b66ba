"""Whether what declarations say that they read is what their SQL reads."""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from penstock.declare.steps import RAW
from penstock.sql_text import TOKEN

if TYPE_CHECKING:
    from penstock.declare.project import Declarations


def unread(found: "Declarations") -> list[str]:
    """One sentence for each raw table that a declaration names and its SQL does not, and of a misspelt source.

    What SOURCES describes may be read by way of a view.
    """
    said, read = list[str](), set[str]()
    for of, named, where, sql in _declarations(found):
        words = _words(sql)
        text = f"_{'_'.join(map(_plain, words))}_"
        for table in named:
            if f"_{_plain(table)}_" in text:
                read.add(table)
            elif table not in found.sources:
                said.append(f"{of} reads no table {table!r}, which its `{where}` names{_meant(table, words)}")
    undescribed = [table for table in sorted(read) if table not in found.sources]
    for table in found.sources:
        if table not in read and (meant := _meant(table, undescribed)):
            said.append(f"nothing reads {table!r}, which SOURCES describes{meant}")
    return said


def _declarations(found: "Declarations") -> Iterator[tuple[str, Sequence[str], str, str]]:
    """What a declaration is, the raw tables that it names, in which field, and its SQL."""
    for name, model in found.models.items():
        yield f"the query of model {name!r}", _raw(model.read_steps), "reads", model.query
    for name, preparation in found.preparations.items():
        sql = preparation.query or preparation.script
        yield f"the SQL of preparation {name!r}", preparation.raw, "reads", sql
    for name, table in found.tables.items():
        yield f"the query of table {name!r}", _raw(table.after), "after", table.query


def _raw(steps: Sequence[str]) -> list[str]:
    return [step.removeprefix(RAW) for step in steps if step.startswith(RAW)]


def _words(sql: str) -> list[str]:
    """The words of SQL in their order, those in quotes too, without its comments."""
    said = TOKEN.sub(lambda token: " " if token["comment"] else token[0], sql)
    return [word for word in re.split(r"\W+", said) if word]


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    return re.sub(r"[\W_]+", "_", "".join(one for one in letters if not unicodedata.combining(one))).strip("_").lower()


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, set(known), 1)
    return f". Did you mean {near[0]}?" if near else ""
