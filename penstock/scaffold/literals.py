"""How values and long calls are laid out in the Python of a new model."""

from penstock.scaffold.names import shortened


def exploded(function: str, arguments: list[str], indent: int) -> str:
    """A call with each argument on a line of its own, as the formatter lays out long ones."""
    inside = " " * (indent + 4)
    return f"{function}(\n" + "".join(f"{inside}{argument},\n" for argument in arguments) + " " * indent + ")"


def plain(text: str) -> str:
    """A text that a docstring can hold."""
    return shortened(text.replace("\\", "/").replace('"', "'"), 50)


def number_text(value: float) -> str:
    """A whole number as Python writes it, without digits behind a point."""
    return str(int(value)) if abs(value) < 1e16 else repr(float(value))
