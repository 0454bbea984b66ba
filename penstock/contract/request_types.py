"""The plain Python types of a request's fields."""

from typing import Any

import msgspec

FIRST_YEAR, LAST_YEAR = 2, 9998
"""Of the times that a request may have: every zone's offset leaves them inside what Python and Postgres hold."""
TIMES = (msgspec.inspect.DateTimeType, msgspec.inspect.DateType)


def offsets(annotation: Any) -> set[bool | None]:
    """Whether the times of a field have an offset; None where they may, and nothing of a field without times."""
    return {one.tz for one in plain_types(annotation) if isinstance(one, msgspec.inspect.DateTimeType)}


def plain_types(annotation: Any) -> list[msgspec.inspect.Type]:
    """The types that a request field may have, without the notes for the reader around them."""

    def bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
        return bare(info.type) if isinstance(info, msgspec.inspect.Metadata) else info

    info = bare(msgspec.inspect.type_info(annotation))
    return [bare(member) for member in info.types] if isinstance(info, msgspec.inspect.UnionType) else [info]
