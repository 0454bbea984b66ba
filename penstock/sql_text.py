"""The tokens of SQL as people write it, and the `:name`s of it: values that are bound when it runs.

A colon in a text, a comment, a cast (`::`) or a slice (`[1:n]`) binds nothing.
"""

import re

TOKEN = re.compile(
    r"""
    (?P<skipped>
        [eE]'(?:[^'\\]|\\.|'')*'                # Postgres' text with backslashes
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | `[^`]*`
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$         # Postgres' text between dollars
      | ::
    )
  | (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?<![:\w]) : (?P<name>[A-Za-z_]\w*)
  | (?P<end> ; )
  | (?P<blank> \s+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_BEFORE_A_VALUE = re.compile(
    r"(?:[=<>+\-*/|%(,]|\b(?:AND|BETWEEN|BY|CASE|DATE|ELSE|HAVING|I?LIKE|IN|INTERVAL|LIMIT|NOT|OFFSET|ON|OR|SELECT|THEN"
    r"|TIMESTAMP|WHEN|WHERE))\s*$",
    re.IGNORECASE,
)
_FAR_ENOUGH = 40


def statements(script: str) -> list[str]:
    """The statements of a script, each without the `;` that ends it."""
    parts, last = [], 0
    for token in TOKEN.finditer(script):
        if token["end"]:
            parts.append(script[last : token.start()])
            last = token.end()
    said = [part.strip() for part in (*parts, script[last:])]
    return [part for part in said if TOKEN.sub(lambda token: "" if token["comment"] else token[0], part).strip()]


def value_names(query: str) -> list[str]:
    """The names of all `:name`s that stand where SQL has a value, each once, in their order.

    Others, such as those of `{'a':x}` and `list[:n]` in DuckDB, can be parts of the warehouse's own syntax.
    """
    found, before, last = [], "", 0
    for token in TOKEN.finditer(query):
        before += query[last : token.start()]
        if token["name"] and _BEFORE_A_VALUE.search(before):
            found.append(token["name"])
        before = (before + (" " if token["comment"] else token[0]))[-_FAR_ENOUGH:]
        last = token.end()
    return list(dict.fromkeys(found))
