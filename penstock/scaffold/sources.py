"""What --from and --lookup name: a table of the warehouse, or a file with a query."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from penstock.scaffold.model_plan import Source
from penstock.warehouse.interface import quoted
from penstock.warehouse.query_text import subquery

SPELLING = "TABLE[:KEY[=FIELD],…][@KNOWN_AT]"


@dataclass(frozen=True)
class LookupOption:
    """One --lookup. `key`: column of the table -> column of the rows that are asked about; empty to find it."""

    table: str
    key: dict[str, str]
    known_at: str = ""


def lookup_option(text: str) -> LookupOption:
    """Read one --lookup; ValueError for what is none."""
    head, at, known_at = text.rpartition("@") if "@" in text else (text, "", "")
    table, colon, keys = head.partition(":")
    pairs = [part.partition("=") for part in keys.split(",")] if colon else []
    key = {column.strip(): (field.strip() or column.strip()) for column, _, field in pairs}
    if not table.strip() or (at and not known_at.strip()) or any(not name for name in key) or len(key) != len(pairs):
        raise ValueError(f"--lookup {text}: expected {SPELLING}, such as products:sku=product@valid_from")
    return LookupOption(table.strip(), key, known_at.strip())


def source(named: str, tables: list[tuple[str, str]], option: str) -> Source:
    """A table, by name or `schema.name`, or the query in a .sql file; ValueError with the nearest names if none."""
    if named.lower().endswith(".sql"):
        return _query(Path(named), option)
    found = _table(named, tables)
    if found is None:
        every = sorted({".".join(_spelt(schema, name)) for schema, name in tables})
        near = difflib.get_close_matches(named, every, 3)
        plain = ", ".join(every[:20])
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {plain or 'no tables'}"
        raise ValueError(f"{option} {named}: expected a table of the warehouse or a file QUERY.sql; {hint}")
    text = ".".join(map(quoted, found))
    return Source(f"`{'.'.join(found)}`", text, f"SELECT * FROM {text}", table=re.sub(r"\W+", "_", found[-1]))


def _table(named: str, tables: list[tuple[str, str]]) -> tuple[str, ...] | None:
    """The parts of the table's name as the warehouse spells them."""
    for alike in (str, str.lower):
        for schema, name in tables:
            if alike(name) == alike(named):
                return _spelt(schema, name)
            if alike(f"{schema}.{name}") == alike(named):
                return schema, name
    return None


def _spelt(schema: str, name: str) -> tuple[str, ...]:
    return (name,) if schema in ("main", "public", "default") else (schema, name)


def _query(path: Path, option: str) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"{option} {path}: expected a file with one query, found {said}") from None
    if not text.strip():
        raise ValueError(f"{option} {path}: expected one query, found an empty file")
    return Source(f"the query of {path.name}", f"(\n{subquery(text)}) AS source", text)
