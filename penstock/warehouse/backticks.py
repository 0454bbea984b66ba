"""Standard SQL for the kinds where a double quote begins a text: names between backticks, escapes in texts."""

from penstock.warehouse.query_text import replaced

DOT = "__penstock_dot__"
"""What stands for the dot of `lookup.column` where a name cannot have one."""


def backticked(statement: str, *, dots: bool = True) -> str:
    """The statement with its double-quoted names between backticks, and without `dots` in them where there are none."""

    def written(token: str) -> str:
        if token[0] == '"':
            name = token[1:-1].replace('""', '"').replace("`", "\\`")
            return f"`{name if dots else name.replace('.', DOT)}`"
        return "'" + token[1:-1].replace("''", "\\'") + "'" if token[0] == "'" else token

    return replaced(statement, written)
