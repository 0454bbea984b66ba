"""What --from and --lookup name: a table of the warehouse, or a file with a query."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from penstock.scaffold.model_plan import Source
from penstock.scaffold.spelling import spelt, split, unquoted
from penstock.sql_text import readings, statements
from penstock.warehouse.interface import quoted
from penstock.warehouse.query_text import bind, subquery

SPELLING = "TABLE[:KEY[=FIELD],…][@KNOWN_AT]"


@dataclass(frozen=True)
class LookupOption:
    """One --lookup. `key`: column of the table -> column of the rows that are asked about; empty to find it."""

    table: str
    key: dict[str, str]
    known_at: str = ""


def lookup_option(text: str) -> LookupOption:
    """Read one --lookup; ValueError for what is none."""
    *heads, known_at = split(text, "@") if len(split(text, "@")) > 1 else (text, "")
    table, *keys = split("@".join(heads), ":")
    pairs = [[unquoted(name) for name in split(part, "=")] for part in split(":".join(keys), ",")] if keys else []
    key = {pair[0]: pair[-1] or pair[0] for pair in pairs}
    lacks = not table.strip() or (heads != [text] and not known_at.strip())
    if lacks or any(not pair[0] or len(pair) > 2 for pair in pairs) or len(key) != len(pairs):
        raise ValueError(f"--lookup {text}: expected {SPELLING}, such as products:sku=product@valid_from")
    return LookupOption(table.strip(), key, unquoted(known_at))


def source(named: str, tables: list[tuple[str, str]], option: str) -> Source:
    """A table, by name or `schema.name`, or the query in a .sql file; ValueError with the nearest names if none."""
    if named.lower().endswith(".sql"):
        return _query(Path(named), option)
    found = _table(named, tables, option)
    if found is None:
        every = sorted({spelt(*_parts(schema, name)) for schema, name in tables})
        near = difflib.get_close_matches(named, every, 3)
        plain = ", ".join(every[:20])
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {plain or 'no tables that it may read'}"
        raise ValueError(f"{option} {named}: expected a table of the warehouse or a file QUERY.sql; {hint}")
    text = ".".join(map(quoted, found))
    return Source(f"`{spelt(*found)}`", text, f"SELECT * FROM {text}", table=re.sub(r"\W+", "_", found[-1]))


def _table(named: str, tables: list[tuple[str, str]], option: str) -> tuple[str, ...] | None:
    """The parts of the table's name as the warehouse spells them; ValueError where several are called so.

    A name without a schema is first that of a table which needs none in SQL.
    """
    parts = tuple(map(unquoted, split(named, ".")))
    for alike in (str, str.lower):
        wanted = {tuple(map(alike, parts)), (alike(named),)}
        found = [(schema, name) for schema, name in tables if wanted & {(alike(name),), (alike(schema), alike(name))}]
        found = [place for place in found if len(_parts(*place)) == 1] or found
        if len(found) > 1:
            every = " or ".join(sorted(spelt(*place) for place in found))
            raise ValueError(
                f"{option} {named}: expected one table, found {len(found)} that are called so; say {every}"
            )
        if found:
            return _parts(*found[0])
    return None


def _parts(schema: str, name: str) -> tuple[str, ...]:
    return (name,) if schema in ("main", "public", "default") else (schema, name)


def _query(path: Path, option: str) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"{option} {path}: expected a file with one query, found {said}") from None
    if not text.strip():
        raise ValueError(f"{option} {path}: expected one query, found an empty file")
    if (count := min(len(statements(one)) for one in readings(text))) > 1:
        raise ValueError(f"{option} {path}: expected one query, found {count} statements")
    bound = [name for name in ("from", "until") if bind(text, (name,), "${}".format) != text]
    if bound:
        said = " and ".join(f":{name}" for name in bound)
        raise ValueError(
            f"{option} {path}: expected the rows of all times, found {said}; leave them out: the query that"
            " is written into the project has them"
        )
    return Source(f"the query of {path.name}", f"(\n{subquery(text)}) AS source", text)
