"""Checking batch by batch that extracted rows have the declared shape."""

import hashlib
from collections.abc import Callable
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow

from penstock.errors import PenstockError

TEXT = pd.ArrowDtype(pyarrow.string())
WHOLE = pd.ArrowDtype(pyarrow.int32())
WHOLE_16 = pd.ArrowDtype(pyarrow.int16())
WHOLE_64 = pd.ArrowDtype(pyarrow.int64())
REAL = pd.ArrowDtype(pyarrow.float64())
REAL_32 = pd.ArrowDtype(pyarrow.float32())
DATE = pd.ArrowDtype(pyarrow.date32())
FLAG = pd.ArrowDtype(pyarrow.bool_())
WALL_CLOCK = pd.ArrowDtype(pyarrow.timestamp("us"))
MOST_FAULTS = 12
INSTANT = pd.ArrowDtype(pyarrow.timestamp("us", tz="UTC"))


class ShapeError(PenstockError):
    """Rows that do not have the declared shape; `failures` has one row per failing value."""

    def __init__(self, name: str, failures: "pd.DataFrame") -> None:
        self.failures = failures
        groups = [group for _, group in failures.groupby(["column", "check"], sort=False, dropna=False)]
        super().__init__(
            f"shape of {name}",
            expected="; ".join(_fault(group) for group in groups[:MOST_FAULTS]),
            todo=(f"And {len(groups) - MOST_FAULTS} more. " if len(groups) > MOST_FAULTS else "")
            + "Correct the warehouse table or the extract, or change the schema; nothing downstream was touched.",
        )


def _fault(group: "pd.DataFrame") -> str:
    """What was expected of one column, and what was found."""
    first = group.iloc[0]
    where = f"column {first['column']!r}" if first["column"] is not None else str(first["failure_case"])
    if first["failure_case"] is False:  # of a check of the whole column, such as its type
        return f"{first['check']} in {where}"
    if first["index"] is None:
        return f"{first['check']} in {where}, found {first['failure_case']}"
    more = f"{len(group)} failing values, first {first['failure_case']!r} in row {first['index']}"
    return f"{first['check']} in {where}, found {more}"


def shape_check(shape: pa.DataFrameSchema, name: str) -> Callable[[pyarrow.RecordBatch], None]:
    """A function that raises ShapeError for a batch without the shape. `name` stands in the message."""
    seen = 0

    def check(batch: pyarrow.RecordBatch) -> None:
        nonlocal seen
        frame = batch.to_pandas(types_mapper=pd.ArrowDtype)
        frame.index = pd.RangeIndex(seen, seen + len(frame))
        try:
            shape.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            raise ShapeError(name, _readable(error.failure_cases)) from None
        seen += len(frame)

    return check


def described(shape: pa.DataFrameSchema) -> list[dict[str, Any]]:
    """The columns of the shape for people: each with type, nullable and checks."""
    return [
        {
            "column": name,
            "type": str(column.dtype or next((check.error for check in column.checks), "")),
            "nullable": bool(column.nullable),
            "checks": ", ".join(str(check.error or check.name) for check in column.checks),
        }
        for name, column in shape.columns.items()
    ]


def shape_text(shape: pa.DataFrameSchema) -> str:
    """A digest of the shape's columns, types and the names of all checks, 64 hex digits."""
    checks = [str(check.error or check.name) for check in shape.checks]
    return hashlib.sha256(repr((described(shape), checks, shape.strict, shape.unique)).encode()).hexdigest()


def _readable(failures: pd.DataFrame) -> pd.DataFrame:
    wanted = failures[["column", "check", "failure_case", "index"]].astype(object)
    uncompared = wanted["failure_case"].astype(str).str.startswith("TypeError(")  # with a bound, as of another type
    wanted = wanted[~uncompared | ~wanted["column"].isin(wanted["column"][~uncompared])]
    return wanted.where(wanted.notna(), None).reset_index(drop=True)
