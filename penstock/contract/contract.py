"""What training and serving share about one model: request fields, lookups, features, output."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec
import numpy as np

from penstock.contract.declaring import DeclaredStruct, shown
from penstock.contract.digest import digest, former_digest
from penstock.contract.faults import contract_faults, lookup_faults, output_faults
from penstock.contract.request_types import Kind, kind_of
from penstock.errors import ContractError, demand_declared

Columns = Mapping[str, np.ndarray[Any, Any]]
"""Column name to 1-d array of n rows. number: float64, NaN where missing; text: object of str, None where
missing; time: datetime64[us] in UTC where the field has a zone, NaT where missing."""


class Column(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """One wanted column of a replicated table: its `name`, the `kind` of its values, and its `unit` for the reader.

    Example: `Column("wind_speed", "number", "miles per hour")`.
    """

    name: str
    kind: Kind
    unit: str = ""


class Lookup(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """The declared join of a request with one replicated table.

    - `name`: under which features see its `columns`, as `name.column`. `table`: called as the lookup if not named.
    - `key`: table column -> the request field that it must equal.
    - `as_of`: a time column of the table and the request field that it must not be later than: the newest such row is
      taken. `key` and `as_of` together are unique in the table.
    - `missing`: what no row means: null columns, or a rejected request.
    - `max_age`: a row that is older than this at the asking time, by its `as_of` column, counts as missing.
    - `budget_ms`: the p99 of a lookup, above which a publish is refused.

    Example: `Lookup("product", "products", {"sku": "product"}, (Column("price", "number", "EUR"),))`.
    """

    name: str
    table: str = ""
    key: dict[str, str] = {}
    columns: tuple[Column, ...] = ()
    as_of: tuple[str, str] | None = None
    missing: Literal["null", "reject"] = "null"
    budget_ms: float = 5.0
    max_age: timedelta | None = None

    def __post_init__(self) -> None:
        if not self.table:
            msgspec.structs.force_setattr(self, "table", self.name)
        demand_declared(lookup_faults(self))

    @property
    def oldest(self) -> int | None:
        """`max_age` in microseconds."""
        return None if self.max_age is None else self.max_age // timedelta(microseconds=1)

    def column_names(self) -> tuple[str, ...]:
        """The names under which features see this lookup's columns, `lookup.column`."""
        return tuple(f"{self.name}.{column.name}" for column in self.columns)


class Value(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """One of several values that a regressor answers: its `name`, and its `unit` for the reader.

    Example: `Value("arrival_delay", "minutes")`.
    """

    name: str
    unit: str = ""


class Output(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """What the model answers: its `name`, `kind` and `unit`.

    - `classes`: those of a classifier, in the order of its probabilities.
    - `scores`: whether a classifier has no probabilities, and answers its label and its decision scores.
    - `values`: those of a regressor with several outputs, in the order in which it predicts them. Each is a `Value`.

    Example: `Output("late", "classifier", ("on_time", "late"))`.
    """

    name: str
    kind: Literal["classifier", "regressor"]
    classes: tuple[str, ...] = ()
    unit: str = ""
    scores: bool = False
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        demand_declared(output_faults(self))


class Feature(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """One input of the estimator, in order: its `name`, the `kind` of its values, and its `meaning` for the reader.

    Example: `Feature("hour", "number", "local hour of departure")`.
    """

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


class Contract(msgspec.Struct, frozen=True, metaclass=DeclaredStruct):
    """One model's contract: what training and serving share.

    - `model`: its name. `purpose`: one sentence for people. `output`: what it answers.
    - `request`: the Struct of what is asked. `entity`: its fields that say what is asked about.
    - `asked_at`: the request field that the service fills with its now if absent.
    - `lookups`: the joins of a request with replicated tables.
    - `compute`: the function from columns to `features`. A feature that is a column need not be returned.
    - `unchanged`: when a stored answer is answered again: `exact` compares input, release and looked-up rows, `input`
      only the input.
    - `journal`: whether an answer waits until it is written (`strict`), or may be lost with its replica (`relaxed`).
    - `retired`: fields that requests had once. Whoever still sends one is answered as without it, and not refused.
    - `zone`: the time zone in which a request's times without an offset are read, where its field takes both, and in
      which the service fills in an `asked_at` without a zone. A query then has to return instants for such fields.
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
    retired: tuple[str, ...] = ()
    zone: str = "UTC"

    def __post_init__(self) -> None:
        demand_declared(contract_faults(self))

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

        A feature that `compute` does not return, and that is a column, is that column.
        ContractError if `compute` returns other names, or a value that is no column of that kind for a feature.
        """
        returned: Any = self.compute(columns)
        if not isinstance(returned, Mapping):
            expected = "a function of the columns that returns a dict of arrays"
            raise ContractError(f"features of model {self.model!r}", expected=expected, found=shown(returned))
        made: dict[str, np.ndarray[Any, Any]] = returned  # type: ignore[assignment] # any mapping that can be filled in
        if len(made) < len(self.features):
            every = {**columns, **made}
            made = {one.name: every[one.name] for one in self.features if one.name in every} | made
        if list(made) != [feature.name for feature in self.features]:
            raise ContractError(
                f"features of model {self.model!r}",
                expected=", ".join(feature.name for feature in self.features),
                found=", ".join(made),
                todo="Let the features function return exactly the declared features, in order.",
            )
        if rows is None:
            rows = len(next(iter(columns.values())))
        shape = (rows,)
        for feature in self.features:
            values = made[feature.name]
            if values.__class__ is not np.ndarray or values.dtype is not _DTYPES[feature.kind] or values.shape != shape:
                made[feature.name] = vector(feature, values, rows, self.model)
        return made

    def zoneless_fields(self) -> tuple[str, ...]:
        """The request fields whose times without an offset are read in `zone`; none where that is UTC, as in a book."""
        return tuple(name for name, found in self._offsets().items() if None in found)

    def instants_in_zone(self) -> tuple[str, ...]:
        """The request fields that are instants, where `zone` says that a time without an offset is none of UTC."""
        return tuple(name for name, found in self._offsets().items() if found - {False})

    def _offsets(self) -> dict[str, set[bool | None]]:
        from penstock.contract.request_types import offsets

        fields = msgspec.structs.fields(self.request) if self.zone != "UTC" else ()
        return {field.name: offsets(field.type) for field in fields}

    def digest(self) -> str:
        """SHA-256 of all that training and serving must agree on, see `penstock.contract.digest`."""
        return digest(self)

    def known_as(self) -> tuple[str, str]:
        """The digests by which releases of this contract are recorded: as computed now, and as it was formerly."""
        return self.digest(), former_digest(self)

    def is_of(self, digest: str) -> bool:
        """Whether a recorded digest is that of this contract."""
        return digest in self.known_as()
