"""The one place that quotes SQL."""


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal, for names out of declarations and the book; what is posted is bound instead."""
    return "'" + text.replace("'", "''") + "'"
