"""Comparing training with serving: held-out rows are sent through the serving lookup, and their features compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from penstock.contract.columns import request_columns
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.lookups.look_up import look_up_now
from penstock.postgres.book import Book
from penstock.snapshots.store import Snapshot
from penstock.training.frame import training_rows


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
    """Compare the feature vectors of up to `rows` rows, spread over the snapshot, bit by bit."""
    whole = snapshot.batches().read_all()
    places = np.unique(np.linspace(0, max(len(whole) - 1, 0), min(rows, len(whole))).astype(int))
    table = whole.take(pa.array(places))
    if model.null_outcome == "leave_out":
        table = table.filter(table.column(model.outcome).is_valid())
    requests = _requests(model, table)
    looked, snapshots = look_up_now(book.url, model.contract, requests)
    served = model.contract.vectors({**request_columns(model.contract, requests), **looked.columns})
    trained = training_rows(model, table).vectors
    differing = {
        name: found for name in trained if (found := _first_difference(trained[name], served[name])) is not None
    }
    return Skew(len(table), differing, snapshots)


def _requests(model: Model, table: pa.Table) -> list[msgspec.Struct]:
    """The rows as the requests that a backend would have sent."""
    fields = [field.name for field in msgspec.structs.fields(model.contract.request)]
    columns: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in fields}
    asked_at = model.contract.asked_at
    columns[asked_at] = [moment.astimezone(UTC) for moment in columns[asked_at]]
    return [
        msgspec.convert(dict(zip(fields, values, strict=True)), model.contract.request)
        for values in zip(*(columns[name] for name in fields), strict=True)
    ]


def _first_difference(trained: np.ndarray[Any, Any], served: np.ndarray[Any, Any]) -> dict[str, str] | None:
    """The first row in which two columns differ in type or in any bit, None if they are the same."""
    if trained.dtype != served.dtype:
        return {"row": "0", "trained": str(trained.dtype), "served": str(served.dtype)}
    same = trained == served if trained.dtype == object else trained.view(np.uint64) == served.view(np.uint64)
    if bool(np.all(same)):
        return None
    row = int(np.argmin(same))
    return {"row": str(row), "trained": repr(trained[row]), "served": repr(served[row])}
