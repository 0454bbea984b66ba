"""What training and serving share about one model: request fields, lookups, features, output."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec
import numpy as np

from penstock.contract.naming import demand_names
from penstock.errors import ContractError

Kind = Literal["number", "text", "time"]
Columns = Mapping[str, np.ndarray[Any, Any]]
"""Column name to 1-d array of n rows. number: float64, NaN where missing; text: object of str, None where
missing; time: datetime64[us] in UTC where the field has a zone, NaT where missing."""


class Column(msgspec.Struct, frozen=True):
    """One wanted column of a replicated table, with its unit for the reader."""

    name: str
    kind: Kind
    unit: str = ""


class Lookup(msgspec.Struct, frozen=True):
    """The declared join of a request with one replicated table.

    `key` maps a table column to the request field that it must equal. `as_of` names a time column of the
    table and the request field that it must not be later than: the newest such row is taken. Together they
    are unique in the table. A row that is older than `max_age` at the asking time counts as missing.
    `missing` says what no row means: null columns, or a rejected request.
    """

    name: str
    table: str
    key: dict[str, str]
    columns: tuple[Column, ...]
    as_of: tuple[str, str] | None = None
    missing: Literal["null", "reject"] = "null"
    budget_ms: float = 5.0
    max_age: timedelta | None = None

    @property
    def oldest(self) -> int | None:
        """`max_age` in microseconds."""
        return None if self.max_age is None else self.max_age // timedelta(microseconds=1)

    def column_names(self) -> tuple[str, ...]:
        """The names under which features see this lookup's columns, `lookup.column`."""
        return tuple(f"{self.name}.{column.name}" for column in self.columns)


class Output(msgspec.Struct, frozen=True):
    """What the model answers: `classes` for a classifier, in the order of its probabilities."""

    name: str
    kind: Literal["classifier", "regressor"]
    classes: tuple[str, ...] = ()
    unit: str = ""


class Feature(msgspec.Struct, frozen=True):
    """One input of the estimator, in order."""

    name: str
    kind: Literal["number", "text"]
    meaning: str = ""


_DTYPES = {"number": np.dtype(np.float64), "text": np.dtype(object)}


def vector(feature: Feature, values: Any, rows: int, model: str) -> np.ndarray[Any, Any]:
    """What `compute` returned for a feature as n values of its kind; ContractError that names the feature."""
    found = np.asarray(values)
    said = f"shape {found.shape} of {found.dtype}" if found.ndim else repr(values)
    if found.shape == (rows,):
        numeric = found.dtype.kind in "biuf"
        if found.dtype.kind == "O":
            kinds = {type(value) for value in found.tolist() if value is not None}
            numeric = not any(issubclass(kind, str | bytes | list | tuple) for kind in kinds)
            said = f"{', '.join(sorted(kind.__name__ for kind in kinds))} values"
        if feature.kind == "number" and numeric:
            return found.astype(np.float64)
        if feature.kind == "text" and (found.dtype.kind == "U" or (found.dtype.kind == "O" and kinds <= {str})):
            return found.astype(object)
    raise ContractError(
        f"feature {feature.name!r} of model {model!r}",
        expected=f"a numpy array of {rows} {'numbers' if feature.kind == 'number' else 'texts'}",
        found=said,
        todo="Compute it from the columns, one value per row.",
    )


class Contract(msgspec.Struct, frozen=True):
    """One model's contract. `asked_at` is the request field that the service fills with its now if absent.

    `entity` are the request fields that say what is asked about. `unchanged` is the policy by which a
    stored answer is given again: `exact` compares input, release and looked-up rows; `input` only the input.
    """

    model: str
    purpose: str
    request: type[msgspec.Struct]
    entity: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    features: tuple[Feature, ...]
    compute: Callable[[Columns], dict[str, np.ndarray[Any, Any]]]
    output: Output
    asked_at: str = "asked_at"
    unchanged: Literal["exact", "input"] = "exact"
    journal: Literal["strict", "relaxed"] = "strict"

    def __post_init__(self) -> None:
        demand_names(self)
        if not self.request.__struct_config__.forbid_unknown_fields:
            raise ContractError(
                f"request of model {self.model!r}",
                expected="forbid_unknown_fields=True",
                found=f"{self.request.__name__} without it",
                todo="A misspelt field has to be refused rather than ignored.",
            )
        fields = {field.name for field in msgspec.structs.fields(self.request)}
        for lookup in self.lookups:
            wanted = set(lookup.key.values()) | ({lookup.as_of[1]} if lookup.as_of else set())
            for name in sorted(wanted - fields):
                raise ContractError(
                    f"lookup {lookup.name!r} of model {self.model!r}",
                    expected=f"a field of {self.request.__name__}",
                    found=repr(name),
                    todo=f"Use one of {', '.join(sorted(fields))}.",
                )
            if lookup.max_age is not None and (lookup.as_of is None or lookup.max_age < timedelta(0)):
                raise ContractError(
                    f"lookup {lookup.name!r} of model {self.model!r}",
                    expected="a max_age of zero or more, and an as_of",
                    found=f"max_age {lookup.max_age}, as_of {lookup.as_of}",
                    todo="An age is that of the row's as_of column at the asking time.",
                )
        for name in sorted(({self.asked_at} | set(self.entity)) - fields):
            raise ContractError(
                f"contract of model {self.model!r}",
                expected=f"a field of {self.request.__name__}",
                found=repr(name),
                todo=f"Add it to the request, or use one of {', '.join(sorted(fields))}.",
            )

    def request_kinds(self) -> dict[str, Kind]:
        """Request field name to column kind, in field order."""
        return {field.name: kind_of(field.type) for field in msgspec.structs.fields(self.request)}

    def input_kinds(self) -> dict[str, Kind]:
        """Every column that `compute` sees to its kind: request fields, then `lookup.column`."""
        kinds = self.request_kinds()
        for lookup in self.lookups:
            for column in lookup.columns:
                kinds[f"{lookup.name}.{column.name}"] = column.kind
        return kinds

    def vectors(self, columns: Columns, rows: int | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """The feature vectors of n rows, in declared order: float64 for numbers, objects for texts, shape (n,) each.

        ContractError if `compute` returns other names, or a value that is no column of that kind for a feature.
        """
        made = self.compute(columns)
        if list(made) != [feature.name for feature in self.features]:
            raise ContractError(
                f"features of model {self.model!r}",
                expected=", ".join(feature.name for feature in self.features),
                found=", ".join(made),
                todo="Let the features function return exactly the declared features, in order.",
            )
        if rows is None:
            rows = len(next(iter(columns.values())))
        for feature in self.features:
            values = made[feature.name]
            if values.__class__ is not np.ndarray or values.dtype is not _DTYPES[feature.kind] or len(values) != rows:
                made[feature.name] = vector(feature, values, rows, self.model)
        return made

    def digest(self) -> str:
        """SHA-256 of all that training and serving must agree on, see `penstock.contract.digest`."""
        from penstock.contract.digest import digest

        return digest(self)

    def is_of(self, digest: str) -> bool:
        """Whether a recorded digest is that of this contract, as it is computed now or was computed formerly."""
        from penstock.contract.digest import former_digest

        return digest == self.digest() or digest == former_digest(self)


def kind_of(annotation: Any) -> Kind:
    """The column kind of a request field's type; ContractError for a type that has none."""
    info = _bare(msgspec.inspect.type_info(annotation))
    members = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    kinds: set[Kind] = set()
    for member in members:
        match _bare(member):
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


def _bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """The type below descriptions and examples."""
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return info
