"""The safetensors format: named arrays and a table of texts in one file, nothing executable.

A file is 8 bytes (length of the header, little-endian), the header (JSON), and the arrays' bytes one after another.
The writer pads the header so that the arrays start at a multiple of 64; the reader assumes no alignment and checks
every number against the size of the file before it allocates. Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra.io.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from recurra._typing import Array

DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "BF16": "<u2",  # NumPy has none: read as float32, which holds each value exactly
}
_CODES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}

_MAX_HEADER = 100_000_000  # bytes; the official library's bound
_ALIGNMENT = 64


class Entry(NamedTuple):
    """Where a file holds an array: its dtype's name, its shape, its bytes counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _damaged(path: str, what: str) -> ValueError:
    return ValueError(f"{path}: expected a safetensors file, got {what}")


# Reading


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        Fresh arrays; BF16 as float32.
    metadata : dict of str to str
        The header's ``__metadata__``.

    Raises
    ------
    ValueError
        If the file does not obey the format.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        entries, metadata, start = read_header(file, name)
        return {key: _read_array(file, name, start, entry) for key, entry in entries.items()}, metadata


class Archive(Mapping[str, "Array"]):
    """The arrays of a file by name, each read when it is asked for.

    Parameters
    ----------
    path : path
        The file; its header is read and checked at once.

    Raises
    ------
    ValueError
        If the file does not obey the format.
    OSError
        If it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with open(path, "rb") as file:
            self.entries, self.metadata, self._start = read_header(file, self.path)

    def __getitem__(self, name: str) -> Array:
        entry = self.entries[name]
        with open(self.path, "rb") as file:
            return _read_array(file, self.path, self._start, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __len__(self) -> int:
        return len(self.entries)


def read_header(file: BufferedReader, path: str) -> tuple[dict[str, Entry], dict[str, str], int]:
    """Return the checked entries, the metadata and where the arrays start."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise _damaged(path, f"{size} bytes")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(size - 8, _MAX_HEADER):
        raise _damaged(path, f"a header of {length} bytes in a file of {size}")
    header = _parse(file.read(length), path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "metadata that are no table of texts")
    entries = {key: _entry(key, value, path) for key, value in header.items()}
    _check_places(entries, size - 8 - length, path)
    return entries, metadata, 8 + length


def _parse(text: bytes, path: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise _damaged(path, "a header that says a name twice")
        return table

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _damaged(path, "a header that is not JSON") from None
    if not isinstance(header, dict) or not text.startswith(b"{"):
        raise _damaged(path, "a header that is no JSON object")
    return header


def _entry(key: str, value: Any, path: str) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"no dtype, shape and data_offsets of {key!r}")
    dtype, shape, places = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{path}: expected a dtype of {', '.join(DTYPES)} for {key!r}, got {dtype!r}")
    if not _naturals(shape) or not _naturals(places) or len(places) != 2 or len(shape) > 32:
        raise _damaged(path, f"a bad shape or place of {key!r}")
    begin, end = places
    if end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
        raise _damaged(path, f"{end - begin} bytes for {key!r} of shape {tuple(shape)}, {dtype}")
    return Entry(dtype, tuple(shape), begin, end)


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _check_places(entries: dict[str, Entry], size: int, path: str) -> None:
    """Raise unless the arrays fill the rest of the file without gaps or overlaps."""
    place = 0
    for key, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != place:
            raise _damaged(path, f"{key!r} at byte {entry.begin} instead of {place}")
        place = entry.end
    if place != size:
        raise _damaged(path, f"{size} bytes of arrays where the header says {place}")


def _read_array(file: BufferedReader, path: str, start: int, entry: Entry) -> Array:
    array = np.empty(entry.shape, DTYPES[entry.dtype])
    file.seek(start + entry.begin)
    if array.size and file.readinto(array.data.cast("B")) != array.nbytes:
        raise _damaged(path, "a file that ends early")
    if entry.dtype == "BF16":
        wide: Array = array.astype("<u4") << np.uint32(16)
        return np.asarray(wide.view("<f4"), np.float32)
    if entry.dtype == "BOOL":
        return array.view("u1").astype(np.bool_)  # any other byte would be an invalid bool
    return array.astype(array.dtype.newbyteorder("="), copy=False)


# Writing


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays and metadata to a file: wholly, or not at all.

    Parameters
    ----------
    path : path
        The file; one of this name is replaced.
    arrays : mapping of str to numpy.ndarray
        Of a dtype in ``DTYPES``.
    metadata : mapping of str to str, optional
        Goes to the header's ``__metadata__``.

    Raises
    ------
    TypeError
        If a dtype has no place in the format.
    OSError
        If the file cannot be written; the old one stays.
    """
    ordered = {key: _portable(key, np.asarray(arrays[key])) for key in sorted(arrays)}
    header = _header(ordered, metadata or {})
    with replacing(path) as file:
        file.write(header)
        for array in ordered.values():
            file.write(array.data.cast("B") if array.size else b"")


def _portable(key: str, array: Array) -> Array:
    """Return the array contiguous and little-endian."""
    if array.dtype.newbyteorder("<") not in _CODES:
        raise TypeError(f"{key}: expected a dtype of {', '.join(DTYPES)}, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _header(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    place = 0
    for key, array in arrays.items():
        end = place + array.nbytes
        code = _CODES[array.dtype]
        table[key] = {"dtype": code, "shape": list(array.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text
