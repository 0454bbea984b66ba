"""Names on the command line: `crm.accounts`, or in double quotes where a name has a dot or another separator in it."""

import re

from penstock.warehouse.interface import quoted

_TOKEN = re.compile(r'"(?:[^"]|"")*"|.', re.DOTALL)
_SEPARATORS = re.compile(r'[".:,=@]|^\s|\s$')


def split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand outside double quotes."""
    parts = [""]
    for token in _TOKEN.findall(text):
        if token == separator:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def unquoted(name: str) -> str:
    """A name without the double quotes around it."""
    plain = name.strip()
    return plain[1:-1].replace('""', '"') if len(plain) > 1 and plain[0] == plain[-1] == '"' else plain


def spelt(*parts: str) -> str:
    """A name as it can be written on the command line, in double quotes where it has to be."""
    return ".".join(quoted(part) if _SEPARATORS.search(part) else part for part in parts)
