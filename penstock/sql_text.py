"""The tokens of SQL as people write it, and the `:name`s of it: values that are bound when it runs.

A colon in a text, a comment, a cast (`::`) or a slice (`[1:n]`) binds nothing.
"""

import re

_PATTERN = r"""
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
    """
TOKEN = re.compile(_PATTERN, re.VERBOSE | re.DOTALL)
_ESCAPING_TOKEN = re.compile(_PATTERN.replace(r"'(?:[^']|'')*'", r"'(?:[^'\\]|\\.|'')*'", 1), re.VERBOSE | re.DOTALL)
"""The same where a backslash escapes in a text."""
_BEFORE_A_VALUE = re.compile(
    r"(?:[=<>+\-*/|%(,]|\b(?:AND|BETWEEN|BY|CASE|DATE|ELSE|HAVING|I?LIKE|IN|INTERVAL|LIMIT|NOT|OFFSET|ON|OR|SELECT|THEN"
    r"|TIMESTAMP|WHEN|WHERE))\s*$",
    re.IGNORECASE,
)
_FAR_ENOUGH = 40


def quotes_doubled(sql: str) -> str:
    r"""SQL in which a backslash in a text escapes, in its length, with `''` for `\'`: texts end where `TOKEN` says."""

    def written(token: re.Match[str]) -> str:
        if not re.match("[eE]?'", token[0]):
            return token[0]
        return re.sub(r"\\(.)", lambda one: "''" if one[1] == "'" else one[0], token[0], flags=re.DOTALL)

    return _ESCAPING_TOKEN.sub(written, sql)


def readings(sql: str) -> list[str]:
    """The SQL in its length as warehouses may read it: as it is, and with quotes doubled that a backslash escapes.

    A reading in which a text does not end is none, where there is another.
    """
    both = list(dict.fromkeys([sql, quotes_doubled(sql)]))
    return [one for one in both if "'" not in TOKEN.sub("", one)] or both[:1]


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
