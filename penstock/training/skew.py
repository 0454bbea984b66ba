"""Comparing training with serving: held-out rows are sent through the serving lookup, and their features compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from penstock.contract.columns import request_columns
from penstock.contract.field_words import field_words
from penstock.contract.request_types import offsets
from penstock.declare.model import Model
from penstock.errors import ContractError, PenstockError
from penstock.lookups.look_up import look_up_now
from penstock.postgres.book import Book
from penstock.snapshots.store import Snapshot
from penstock.training.bounds import any_of, outside
from penstock.training.frame import known_outcomes, training_rows

ROWS_ALONE = 8
"""Rows of a training set whose features are computed alone as well."""


class SkewError(PenstockError):
    """Training and serving would see different feature vectors."""


@dataclass(frozen=True)
class Skew:
    """The result of a comparison of `rows` rows.

    `differing`: feature -> an example of a row with both values. `snapshots`: table -> the snapshot that was looked up.
    """

    rows: int
    differing: Mapping[str, Mapping[str, str]]
    snapshots: Mapping[str, str]

    def demand_none(self, model: str) -> None:
        """SkewError, naming the first differing feature, if there is one."""
        for name, found in self.differing.items():
            raise SkewError(
                f"feature {name!r} of model {model!r}",
                expected=f"the bits of training, {found['trained']}, in row {found['row']}",
                found=f"{found['served']} through the serving lookup",
                todo="Publish the tables of its lookups again; they should come from the warehouse that trains.",
            )


def skew(book: Book, model: Model, snapshot: Snapshot, *, rows: int) -> Skew:
    """Compare the feature vectors of up to `rows` rows, spread over the snapshot, bit by bit.

    SkewError where a row has other features alone than among the others.
    """
    whole = snapshot.batches().read_all()
    places = np.unique(np.linspace(0, max(len(whole) - 1, 0), min(rows, len(whole))).astype(int))
    table = whole.take(pa.array(places))
    if model.null_outcome == "leave_out":
        table = table.filter(known_outcomes(model.outcomes, table))
    table = table.filter(pa.array(~any_of(outside(model.contract, table).values(), len(table))))
    demand_each_alone(model, table)
    requests = _requests(model, table)
    looked, snapshots = look_up_now(book.url, model.contract, requests)
    served = model.contract.vectors({**request_columns(model.contract, requests), **looked.columns})
    trained = training_rows(model, table).vectors
    differing = {
        name: found for name in trained if (found := _first_difference(trained[name], served[name])) is not None
    }
    return Skew(len(table), differing, snapshots)


def demand_each_alone(model: Model, rows: pa.Table) -> None:
    """SkewError that names a feature of which some row has other bits alone than among the others."""
    if model.null_outcome == "leave_out":
        rows = rows.filter(known_outcomes(model.outcomes, rows))
    if not len(rows):
        return
    together = training_rows(model, rows).vectors
    for name, values in together.items():
        kinds = set(map(type, values)) if values.dtype == object else set[type]()
        others = [kind for kind in kinds if not issubclass(kind, (str, type(None)))]
        if others:
            raise ContractError(
                f"feature {name!r} of model {model.contract.model!r}",
                expected="texts, and None where there is none",
                found=", ".join(sorted(kind.__name__ for kind in others)),
                todo="Make texts of them, and None of what is missing.",
            )
    for place in np.unique(np.linspace(0, len(rows) - 1, ROWS_ALONE).astype(int)):
        alone = training_rows(model, rows.slice(place, 1)).vectors
        for name, values in together.items():
            found = _first_difference(values[place : place + 1], alone[name])
            if found is not None:
                raise SkewError(
                    f"feature {name!r} of model {model.contract.model!r}",
                    expected=f"the same of a row alone, as served, as among {len(rows):,}: {found['trained']}",
                    found=found["served"],
                    todo="Compute each row from its own columns: no mean, rank or order of rows. A sum or mean over a"
                    " stack of columns rounds by the number of rows: add the columns by `+`.",
                )


def _requests(model: Model, table: pa.Table) -> list[msgspec.Struct]:
    """The rows as the requests that a backend would have sent."""
    fields = {one.name: bool(offsets(one.type) - {False}) for one in msgspec.structs.fields(model.contract.request)}
    columns = [
        [_as_posted(value, with_offset=with_offset) for value in table.column(name).to_pylist()]
        for name, with_offset in fields.items()
    ]
    try:
        return msgspec.convert(
            [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)],
            list[model.contract.request],  # type: ignore[name-defined] # run-time type
        )
    except msgspec.ValidationError as error:
        raise _not_a_request(model, error) from None


def _as_posted(value: Any, *, with_offset: bool) -> Any:
    """A value of the warehouse as a backend would post it; `with_offset`: to a field whose times have an offset.

    Whole decimals are integers. An instant is in UTC, as is a time without a zone where the field has an offset.
    """
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if not isinstance(value, datetime) or not with_offset:
        return value
    return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _not_a_request(model: Model, error: msgspec.ValidationError) -> PenstockError:
    said, _, path = str(error).partition(" - at `")
    found = re.match(r"\$\[(\d+)\]\.([^`]*)", path)
    row, name = found.groups() if found else ("", "")
    types = {field.name: field.type for field in msgspec.structs.fields(model.contract.request)}
    return PenstockError(
        f"column {name!r} of the training set of model {model.contract.model!r}, row {row}",
        expected=field_words(types[name]) if name in types else "what the request of the contract takes",
        found=said.replace("`", ""),
        todo=f"Cast {name!r} in the query, or correct the type of the request's field.",
    )


def _first_difference(trained: np.ndarray[Any, Any], served: np.ndarray[Any, Any]) -> dict[str, str] | None:
    """The first row in which two columns differ in type or in any bit, None if they are the same."""
    if trained.dtype != served.dtype:
        return {"row": "0", "trained": str(trained.dtype), "served": str(served.dtype)}
    same = trained == served if trained.dtype == object else trained.view(np.uint64) == served.view(np.uint64)
    if bool(np.all(same)):
        return None
    row = int(np.argmin(same))
    return {"row": str(row), "trained": repr(trained[row]), "served": repr(served[row])}
