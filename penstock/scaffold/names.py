"""Names and texts of generated code: Python identifiers from any name, and literals as the formatter has them."""

import keyword
import re
import unicodedata
from collections.abc import Collection
from typing import Any

LONGEST = 63
"""What Postgres takes for a column, in bytes."""
LONGEST_LINE = 120
_HARD_TO_READ = frozenset({"l", "I", "O"})
_MODEL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def is_model_name(name: str) -> bool:
    """Whether a model, its modules and its assets in Dagster can be called so."""
    return bool(_MODEL.fullmatch(name)) and not keyword.iskeyword(name)


def model_name(text: str) -> str:
    """The nearest name that a model can have."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "_", ascii_only.lower()).strip("_")[:40].rstrip("_")
    return plain if is_model_name(plain) else f"model_{plain}".rstrip("_")[:40]


def identifier(text: str, taken: Collection[str] = (), longest: int = LONGEST) -> str:
    """A Python identifier of at most `longest` bytes that is not taken; the text itself where it is one.

    Names that differ only in case are the same to many a warehouse, and so is one of them taken by the other.
    """
    plain = unicodedata.normalize("NFKC", text)
    if not plain.isidentifier():
        plain = re.sub(r"\W+", "_", plain).strip("_") or "column"
        plain = plain if plain.isidentifier() else f"_{plain}".replace("__", "_") if plain[0].isdigit() else "column"
    plain = plain.lstrip("_") if plain.startswith("__") else plain
    plain = _shortened(plain, longest) or "column"
    if keyword.iskeyword(plain) or plain in _HARD_TO_READ:
        plain = _shortened(plain, longest - 1) + "_"
    lower = {name.lower() for name in taken}
    found, number = plain, 2
    while found.lower() in lower:
        ending = f"_{number}"
        found, number = _shortened(plain, longest - len(ending)) + ending, number + 1
    return found


def class_name(model: str) -> str:
    """The name of a model's request class."""
    return "".join(part[:1].upper() + part[1:] for part in model.split("_")) + "Request"


def literal(value: Any) -> str:
    """A value as Python source, quoted as the formatter would."""
    if not isinstance(value, str):
        return repr(value).replace("e+", "e") if isinstance(value, float) else repr(value)
    body = repr(value)
    if value.count('"') > value.count("'"):
        return body if body.startswith("'") else "'" + body[1:-1].replace("'", "\\'").replace('\\"', '"') + "'"
    inner = body[1:-1]
    if body.startswith("'"):
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    return f'"{inner}"'


def shortened(text: str, most: int = 40) -> str:
    """A text for people, with its end left out where it is longer."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else one_line[: most - 1] + "…"


def call(function: str, arguments: list[str], indent: int = 0, *, around: int = 0) -> str:
    """A call on one line where it fits, else with its arguments on one line, or on one each.

    `around` is how much else stands in its first line. Without a `function` it is a tuple.
    """
    line = f"{function}({', '.join(arguments)})"
    if "\n" not in line and indent + len(line) + around <= LONGEST_LINE:
        return line
    inside = " " * (indent + 4)
    if function and "\n" not in line and indent + 4 + len(", ".join(arguments)) <= LONGEST_LINE:
        return f"{function}(\n{inside}{', '.join(arguments)}\n{' ' * indent})"
    return f"{function}(\n" + "".join(f"{inside}{argument},\n" for argument in arguments) + " " * indent + ")"


def sequence(parts: list[str], indent: int = 0, *, around: int = 0) -> str:
    """A tuple, laid out as `call`. That of one part keeps the comma that makes it one."""
    if len(parts) == 1 and "\n" not in parts[0]:
        fits = indent + len(parts[0]) + len("(,)") + around <= LONGEST_LINE
        inside = " " * (indent + 4)
        return f"({parts[0]},)" if fits else f"(\n{inside}{parts[0]},\n{' ' * indent})"
    return call("", parts, indent, around=around)


def _shortened(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore").rstrip("_") if len(text.encode()) > longest else text
