"""How many of a thing, in words."""


def counted(count: int, thing: str, *, plural: str = "") -> str:
    """`1 row`, `2 rows`, `1,500 rows`; `plural` where that is no `s` at the end."""
    return f"{count:,} {thing if count == 1 else plural or thing + 's'}"


def measured(value: float, *beside: float) -> str:
    """A measured value with four digits, and more where it would read as 0, 1 or a value `beside` it that it is not."""
    for digits in range(4, 16):
        text = f"{value:.{digits}f}"
        if all(other == value or f"{other:.{digits}f}" != text for other in (0.0, 1.0, *beside)):
            return text
    return f"{value:.3g}"
