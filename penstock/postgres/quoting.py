"""How names and texts are quoted in a statement of text, for asyncpg; psycopg composes its own with `psycopg.sql`."""


def quoted(name: str) -> str:
    """The identifier of a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The literal of a text that a declaration or the book holds. What a request holds is bound instead."""
    return "'" + text.replace("'", "''") + "'"
