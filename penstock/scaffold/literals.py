"""How values and long calls are laid out in the Python of a new model."""

from datetime import timedelta

from penstock.scaffold.names import literal

UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def exploded(function: str, arguments: list[str], indent: int) -> str:
    """A call with each argument on a line of its own, as the formatter lays out long ones."""
    inside = " " * (indent + 4)
    return f"{function}(\n" + "".join(f"{inside}{argument},\n" for argument in arguments) + " " * indent + ")"


def number_text(value: float) -> str:
    """A whole number as Python writes it, without digits behind a point."""
    return str(int(value)) if abs(value) < 1e16 else literal(float(value))


def delay_text(delay: timedelta) -> str:
    """A timedelta as Python source, in the largest unit that holds it exactly."""
    count, unit = _in_largest_unit(delay)
    return f"timedelta({unit}={count})"


def delay_words(delay: timedelta) -> str:
    """A timedelta for people: 6 hours, 30 days."""
    count, unit = _in_largest_unit(delay)
    return f"{count} {unit if count != 1 else unit[:-1]}"


def _in_largest_unit(delay: timedelta) -> tuple[int, str]:
    seconds = int(delay.total_seconds())
    unit, size = next((unit, size) for unit, size in UNITS.items() if seconds % size == 0)
    return seconds // size, unit
