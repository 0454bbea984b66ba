"""What a warehouse has unloaded to an object store by itself, as the rows of a query: proven whole, and sorted here."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.quantity import counted
from penstock.store_url import open_store, shown_store
from penstock.warehouse.interface import BATCH_ROWS, WarehouseError
from penstock.warehouse.sorting import sorted_rows

_WHOLE, _TEXT, _BYTES = "a whole number", "a text", "bytes"
_FAMILIES: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    (_WHOLE, pa.types.is_integer),
    ("a decimal", pa.types.is_decimal),
    ("a floating number", pa.types.is_floating),
    (_TEXT, pa.types.is_string),
    (_TEXT, pa.types.is_large_string),
    (_BYTES, pa.types.is_binary),
    (_BYTES, pa.types.is_large_binary),
    ("an instant", pa.types.is_timestamp),
    ("a day", pa.types.is_date),
    ("a time", pa.types.is_time),
    ("a boolean", pa.types.is_boolean),
)
"""Types between which a cast that loses nothing is the same value. An instant without a zone is one of UTC."""


class UnloadFile(msgspec.Struct, frozen=True):
    """A Parquet file as the warehouse reports it: its name in the folder, its bytes and its rows."""

    name: str
    bytes: int
    rows: int


class UnloadReport(msgspec.Struct, frozen=True):
    """What the warehouse says that it has unloaded.

    - `schema`: of the query, by its description. `rows`: in all files.
    - `lists`: names of files beside those with rows, which the warehouse has written too.
    """

    schema: pa.Schema
    rows: int
    files: tuple[UnloadFile, ...]
    lists: tuple[str, ...] = ()


@runtime_checkable
class UnloadSource(Protocol):
    """A kind of warehouse that unloads the result of a query as Parquet."""

    timeout: float
    ended: Event

    @property
    def unload_url(self) -> str:
        """The folder of an object store for it, by `unload` in the query of the warehouse's URL; empty for none."""

    def unload(self, query: str, folder: str) -> UnloadReport:
        """Unload the rows of a query below the URL of an empty folder. Whoever leaves it, by Ctrl-C, ends the query."""


@contextmanager
def unloaded_rows(warehouse: UnloadSource, query: str, key: Sequence[str]) -> Iterator[pa.RecordBatchReader]:
    """The rows of the query in the order of the key, by an unload. Its files are removed when the context is left.

    WarehouseError where files are missing, changed or not of this unload, or a column has another type than declared.
    """
    files, root = open_store(warehouse.unload_url)
    name = f"penstock-{uuid4().hex}"
    folder = posixpath.join(root, name)
    try:
        report = warehouse.unload(query, posixpath.join(warehouse.unload_url.rstrip("/"), name))
        unload = _Unload(files, folder, shown_store(warehouse.unload_url), report)
        unload.demand_whole()
        rows = pa.RecordBatchReader.from_batches(report.schema, unload.batches())
        with sorted_rows(rows, key, timeout=warehouse.timeout, ended=warehouse.ended) as ordered:
            yield ordered
    finally:
        files.invalidate_cache()
        if files.exists(folder):
            files.rm(folder, recursive=True)


@dataclass(frozen=True)
class _Unload:
    files: Any
    folder: str
    shown: str
    report: UnloadReport

    def demand_whole(self) -> None:
        """WarehouseError that names every file which is missing, of another size, or not in the report."""
        self.files.invalidate_cache()
        there: Mapping[str, Mapping[str, Any]] = (
            self.files.find(self.folder, detail=True) if self.files.exists(self.folder) else {}
        )
        sizes = {path.removeprefix(f"{self.folder}/"): found["size"] for path, found in there.items()}
        faults = [f"{one.name} is missing" for one in self.report.files if one.name not in sizes]
        faults += [
            f"{one.name} has {sizes[one.name]} bytes, not {one.bytes}"
            for one in self.report.files
            if sizes.get(one.name, one.bytes) != one.bytes
        ]
        known = {one.name for one in self.report.files} | set(self.report.lists)
        faults += [f"{name} is not in the report" for name in sizes if name not in known]
        reported = sum(one.rows for one in self.report.files)
        if reported != self.report.rows:
            faults.append(f"the files have {counted(reported, 'row')}, the query {self.report.rows:,}")
        if faults:
            raise self._refused("the files that the warehouse reports", "; ".join(faults))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of all files, in the declared types."""
        for one in self.report.files:
            with (
                self.files.open(posixpath.join(self.folder, one.name), "rb") as handle,
                pq.ParquetFile(handle, pre_buffer=True, coerce_int96_timestamp_unit="us") as file,
            ):
                if file.metadata.num_rows != one.rows:
                    raise self._refused(f"{counted(one.rows, 'row')} in {one.name}", f"{file.metadata.num_rows:,}")
                self._demand_types(one.name, file.schema_arrow)
                for batch in file.iter_batches(BATCH_ROWS):
                    yield self._declared(batch)

    def _demand_types(self, name: str, found: pa.Schema) -> None:
        declared = self.report.schema
        if [one.lower() for one in found.names] != [one.lower() for one in declared.names]:
            raise self._refused(f"columns {', '.join(declared.names)} in {name}", ", ".join(found.names))
        faults = [
            f"{mine.name}: {theirs.type} for {mine.type}"
            for mine, theirs in zip(declared, found, strict=True)
            if not theirs.type.equals(mine.type) and _family(theirs.type) != _family(mine.type)
        ]
        if faults:
            raise self._refused(f"the declared types in {name}", "; ".join(faults))

    def _declared(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for array, field in zip(batch.columns, self.report.schema, strict=True):
            try:
                arrays.append(array.cast(field.type))
            except pa.ArrowInvalid as error:
                raise self._refused(f"values of {field.type} in column {field.name!r}", str(error)) from None
        return pa.RecordBatch.from_arrays(arrays, schema=self.report.schema)

    def _refused(self, expected: str, found: str) -> WarehouseError:
        return WarehouseError(
            f"unload to {self.shown}",
            expected=expected,
            found=found,
            todo="Nothing was stored, and the files were removed. Extract again; without `unload` in "
            "PENSTOCK_WAREHOUSE_URL the rows come through the driver.",
        )


def _family(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return _WHOLE
    return next((name for name, belongs in _FAMILIES if belongs(kind)), str(kind))
