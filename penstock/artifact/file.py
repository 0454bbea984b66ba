"""The container of a model file: magic, version, checked JSON header, aligned arrays, opened by mmap."""

import math
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import msgspec
import numpy as np

from penstock.artifact.conformal import Conformal
from penstock.artifact.terms import Vectorizer
from penstock.artifact.threshold import Threshold
from penstock.contract.contract import Feature
from penstock.errors import ArtifactError

MAGIC = b"\x89PENSTK\n"
VERSION = 1
ALIGNMENT = 64
_PREFIX = struct.Struct("<8sII32s")
"""Magic, format version, header length in bytes, SHA-256 of the header."""

NODE = np.dtype([("value", "<f8"), ("link", "<u4"), ("feature", "<u4")])
_DTYPES: dict[str, np.dtype[Any]] = {
    "f8": np.dtype("<f8"),
    "i8": np.dtype("<i8"),
    "u4": np.dtype("<u4"),
    "u1": np.dtype("u1"),
    "node": NODE,
}
DType = Literal["f8", "i8", "u4", "u1", "node"]
Scalar = bool | int | float | str


class ArraySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array: its dtype, its shape, and its offset in bytes from the first array's start."""

    dtype: DType
    shape: tuple[int, ...]
    offset: int


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model that instructions of the column program run. Its arrays are named by its number: `0.nodes`."""

    engine: Literal["trees", "linear", "slots"]
    outputs: int
    link: str
    divisor: float = 1.0
    mean_of: float = 1.0
    factor: float = 1.0
    single: bool = False


class Explaining(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What explanations of predictions need besides arrays.

    - `background`: training rows, feature -> values, null where missing. Infinities are texts that `float` reads.
    - `parts`: the models whose mean raw score is explained instead of that of the answering one.
    """

    background: dict[str, list[float | str | None]]
    parts: tuple[int, ...] = ()


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a file says about itself. `size` is the length of the array part in bytes.

    - Raw scores are sums divided by `divisor`. They are divided by `mean_of`, and multiplied by `factor`, for the link.
    - `single`: sums are rounded to float32 after each tree.
    - `trusted_types`: what the model's declaration lets a skops file hold besides what is always allowed.
    - `vectorizers`: how instructions make numbers of texts.
    - `scores`: a classifier without probabilities answers its label and its raw scores.
    - What was added after the first release is left out where it has its default, so that older replicas read the file.
    """

    engine: Literal["trees", "linear", "slots", "skops", "catboost"]
    kind: Literal["classifier", "regressor"]
    estimator: str
    features: tuple[Feature, ...]
    classes: tuple[Scalar, ...]
    outputs: int
    link: str
    divisor: float
    slots: int
    metadata: dict[str, Any]
    arrays: dict[str, ArraySpec] = {}
    size: int = 0
    mean_of: float = 1.0
    factor: float = 1.0
    single: bool = False
    parts: tuple[Part, ...] = ()
    threshold: Threshold | None = None
    trusted_types: tuple[str, ...] = ()
    vectorizers: tuple[Vectorizer, ...] = ()
    explaining: Explaining | None = None
    conformal: Conformal | None = None
    scores: bool = False


_Told = TypeVar("_Told", Header, Part)


def write(path: Path, header: Header, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write one file: the same header and arrays always give the same bytes."""
    specs: dict[str, ArraySpec] = {}
    size = 0
    for name in sorted(arrays):
        array = arrays[name]
        dtype = next(key for key, known in _DTYPES.items() if known == array.dtype)
        specs[name] = ArraySpec(dtype, array.shape, size)  # type: ignore[arg-type]  # a key of _DTYPES
        size += _aligned(array.nbytes)
    parts = tuple(_without_defaults(part) for part in header.parts)
    header = msgspec.structs.replace(_without_defaults(header), arrays=specs, size=size, parts=parts)
    text = msgspec.json.encode(header, order="deterministic")
    with path.open("wb") as file:
        file.write(_PREFIX.pack(MAGIC, VERSION, len(text), _checksum(text)))
        file.write(text)
        _pad(file.tell(), file)
        for name in sorted(arrays):
            np.ascontiguousarray(arrays[name]).tofile(file)
            _pad(file.tell(), file)


def read(path: Path) -> tuple[Header, dict[str, np.ndarray[Any, Any]]]:
    """The header and the read-only, memory-mapped arrays; ArtifactError for a file that is not what it says."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length < _PREFIX.size:
            raise _refused(path, "a model file", f"{length} bytes")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header = read_header(mapped, path)
    start = _aligned(mapped.tell())
    if length != start + header.size:
        raise _refused(path, f"{start + header.size} bytes", f"{length} bytes")
    body = memoryview(mapped)[start:]
    return header, {
        name: _array(f"array {name!r} of artifact {path}", spec, body) for name, spec in header.arrays.items()
    }


def read_header(file: BinaryIO | mmap.mmap, path: str | Path) -> Header:
    """The header at the start of an open file, which is read up to the header's end; ArtifactError as `read`."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        raise _refused(path, "a model file", f"{len(prefix)} bytes")
    magic, version, length, digest = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise _refused(path, f"a model file that starts with {MAGIC!r}", repr(magic))
    if version != VERSION:
        raise _refused(path, f"format version {VERSION}", str(version), "Pack the model again, or update penstock.")
    text = file.read(length)
    if len(text) < length:
        raise _refused(path, f"a header of {length} bytes", f"a file of {_PREFIX.size + len(text)} bytes")
    if _checksum(text) != digest:
        raise _refused(path, "the header that was written", "another one (its checksum differs)")
    try:
        return msgspec.json.decode(text, type=Header)
    except msgspec.DecodeError as error:
        raise _refused(path, "a header of this format", str(error)) from None


def rewrite(path: Path, **changes: Any) -> None:
    """Write a file again with other values of header fields."""
    header, arrays = read(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    write(part, msgspec.structs.replace(header, **changes), arrays)
    part.replace(path)


def _without_defaults(told: _Told) -> _Told:
    """The same, with each value that equals its default being the default: msgspec leaves out what is that object."""
    fields = [field for field in msgspec.structs.fields(told) if field.default is not msgspec.NODEFAULT]
    same = {field.name: field.default for field in fields if getattr(told, field.name) == field.default}
    return msgspec.structs.replace(told, **same)


def _array(thing: str, spec: ArraySpec, body: memoryview) -> np.ndarray[Any, Any]:
    dtype = _DTYPES[spec.dtype]
    count = math.prod(spec.shape) if all(side >= 0 for side in spec.shape) else -1
    inside = 0 <= spec.offset <= len(body) and 0 <= count * dtype.itemsize <= len(body) - spec.offset
    if not inside or spec.offset % ALIGNMENT or len(spec.shape) > 2:
        raise ArtifactError(thing, expected="a place inside the file", found=f"{spec.shape} at {spec.offset}")
    if count == 0:
        return np.empty(spec.shape, dtype)
    return np.asarray(np.frombuffer(body, dtype, count, spec.offset).reshape(spec.shape))


def _checksum(text: bytes) -> bytes:
    # Imported here, because hashlib brings OpenSSL with it and would be a tenth of this package's import time.
    import hashlib

    return hashlib.sha256(text).digest()


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pad(position: int, file: Any) -> None:
    file.write(b"\0" * (_aligned(position) - position))


def _refused(path: str | Path, expected: str, found: str, todo: str = "") -> ArtifactError:
    return ArtifactError(f"artifact {path}", expected=expected, found=found, todo=todo)
