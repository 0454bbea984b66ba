"""The plain Python types of a request's fields, and the kind of column that each is."""

from typing import Any, Literal

import msgspec

from penstock.errors import ContractError

Kind = Literal["number", "text", "time"]

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


def kind_of(annotation: Any) -> Kind:
    """The column kind of a request field's type; ContractError for a type that has none."""
    kinds: set[Kind] = set()
    for member in plain_types(annotation):
        match member:
            case msgspec.inspect.NoneType():
                continue
            case msgspec.inspect.IntType() | msgspec.inspect.FloatType() | msgspec.inspect.BoolType():
                kinds.add("number")
            case msgspec.inspect.StrType():
                kinds.add("text")
            case msgspec.inspect.EnumType() | msgspec.inspect.LiteralType() as choice:
                kinds |= {"number" if isinstance(value, int) else "text" for value in choices(choice)}
            case msgspec.inspect.DateTimeType() | msgspec.inspect.DateType():
                kinds.add("time")
            case _:
                raise ContractError(
                    "request field type",
                    expected="a number, text, date or time, optionally null",
                    found=repr(annotation),
                    todo="Give the field one plain type.",
                )
    if len(kinds) != 1:
        raise ContractError("request field type", expected="one kind", found=repr(annotation))
    return kinds.pop()


def choices(member: msgspec.inspect.EnumType | msgspec.inspect.LiteralType) -> tuple[Any, ...]:
    """The values of an Enum or a Literal, as JSON has them."""
    if isinstance(member, msgspec.inspect.LiteralType):
        return member.values
    return tuple(each.value for each in member.cls)
