"""The text of a project's query: which `:name` is a value to bind, and where the query ends.

A query may end with `;` or a comment.
"""

from collections.abc import Callable, Collection

from penstock.sql_text import TOKEN, readings


def bind(
    query: str, names: Collection[str], placeholder: Callable[[str], str], literal: Callable[[str], str] = str
) -> str:
    """The query with `placeholder(name)` for every `:name` among `names`, and `literal(text)` for what is between."""
    parts, last = [], 0
    for token in TOKEN.finditer(query):
        if token["name"] in names:
            parts += [literal(query[last : token.start()]), placeholder(token["name"])]
            last = token.end()
    return "".join([*parts, literal(query[last:])])


def subquery(query: str) -> str:
    """The query as it can stand between parentheses: without the `;` that ends it, and closed by a line of its own.

    Only blanks and comments may follow the `;`: a second statement stays, and the warehouse refuses it.
    """
    end, last, read = None, 0, readings(query)[0]
    for token in TOKEN.finditer(read):
        blank = token["end"] or token["comment"] or token["blank"]
        if query[last : token.start()] or not blank:
            end = None
        if token["end"] and end is None:
            end = token.start()
        last = token.end()
    return f"{query[: end if last == len(query) else None].strip()}\n"


def outside(query: str) -> str:
    """The query in its length, with blanks in the place of texts, quoted names and comments."""
    parts, last = [], 0
    for token in TOKEN.finditer(query):
        if (token["skipped"] and token["skipped"] != "::") or token["comment"]:
            parts += [query[last : token.start()], " " * (token.end() - token.start())]
            last = token.end()
    return "".join([*parts, query[last:]])


def replaced(query: str, written: Callable[[str], str]) -> str:
    """The query with `written(token)` for each of its texts and quoted names."""
    return TOKEN.sub(lambda token: written(token[0]) if token["skipped"] and token[0] != "::" else token[0], query)
