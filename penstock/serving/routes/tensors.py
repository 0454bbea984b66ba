"""Tensors of the Open Inference Protocol: their JSON and binary forms, read to Python values and written."""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.serving.http.problems import Problem

NUMBERS = {
    "BOOL": "?",
    **{f"{kind}{bits}": f"<{kind[0].lower()}{bits // 8}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
WHOLE = frozenset(name for name in NUMBERS if "INT" in name)
ACCEPTED = {
    "BOOL": frozenset({"BOOL"}),
    "INT64": WHOLE,
    "FP64": WHOLE | {"FP16", "FP32", "FP64"},
    "BYTES": frozenset({"BYTES"}),
}
"""Data type of a field to the data types in which it may be sent."""


class Tensor(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One named tensor. `binary_data_size` in the parameters says that its data follow the JSON document."""

    name: str
    datatype: str
    shape: list[Any]
    parameters: dict[str, Any] | None = None
    data: list[Any] | msgspec.UnsetType | None = msgspec.UNSET


def read(tensor: Tensor, rest: memoryview) -> tuple[list[Any], memoryview]:
    """The tensor's n values, and what follows of the binary part; Problem 400 if they do not fit its shape."""
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is None:
        if tensor.data is msgspec.UNSET or tensor.data is None:
            raise bad(tensor.name, "data or binary_data_size", "neither")
        values = _flat(tensor.data)
    else:
        if type(size) is not int or not 0 <= size <= len(rest):
            raise bad(tensor.name, f"a binary_data_size of at most {len(rest)} bytes", str(size))
        part, rest = rest[:size], rest[size:]
        values = _texts(tensor, part) if tensor.datatype == "BYTES" else _numbers(tensor, part)
    if tensor.shape not in ([len(values)], [len(values), 1]):
        raise bad(tensor.name, f"shape [{len(values)}] as its data have", str(tensor.shape)[:80])
    return values, rest


def written(name: str, datatype: str, values: Sequence[Any], *, width: int = 0, binary: bool) -> tuple[Tensor, bytes]:
    """Values as a tensor of shape (n,), or (n, width) row by row, and its binary data where those are wanted."""
    shape = [len(values) // width, width] if width else [len(values)]
    if not binary:
        return Tensor(name=name, datatype=datatype, shape=shape, data=list(values)), b""
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        data = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    else:
        data = np.array(values, dtype=NUMBERS[datatype]).tobytes()
    return Tensor(name=name, datatype=datatype, shape=shape, parameters={"binary_data_size": len(data)}), data


def bad(name: str, expected: str, found: str) -> Problem:
    """The refusal of a tensor."""
    return Problem(400, "invalid-tensor", f"tensor {name[:80]!r}: expected {expected}, found {found}")


def _flat(values: list[Any]) -> list[Any]:
    """The elements of one or two levels of lists."""
    if values and all(isinstance(value, list) for value in values):
        return [element for row in values for element in row]
    return values


def _texts(tensor: Tensor, part: memoryview) -> list[str]:
    """Texts, each after its length in four bytes."""
    made: list[str] = []
    place = 0
    try:
        while place < len(part):
            (length,) = struct.unpack_from("<I", part, place)
            place += 4 + length
            if place > len(part):
                raise bad(tensor.name, "whole texts", "a text cut off")
            made.append(str(part[place - length : place], "utf-8"))
    except struct.error:
        raise bad(tensor.name, "a length of four bytes before each text", "fewer") from None
    except UnicodeDecodeError as error:
        raise bad(tensor.name, "texts in UTF-8", error.reason) from None
    return made


def _numbers(tensor: Tensor, part: memoryview) -> list[Any]:
    if tensor.datatype not in NUMBERS:
        raise bad(tensor.name, "a data type of numbers, BOOL or BYTES", repr(tensor.datatype[:80]))
    kind = np.dtype(NUMBERS[tensor.datatype])
    if len(part) % kind.itemsize:
        raise bad(tensor.name, f"elements of {kind.itemsize} bytes", f"{len(part)} bytes")
    return list(np.frombuffer(part, kind).tolist())
