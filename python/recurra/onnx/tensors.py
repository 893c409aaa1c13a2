"""Arrays of an ONNX file, as large as the file says only if it holds that much."""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, numpy_helper

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array

# The field of a message that holds numbers of a type where they are not raw.
_FIELDS = {
    TensorProto.FLOAT: ("float32", "float_data"),
    TensorProto.DOUBLE: ("float64", "double_data"),
    TensorProto.FLOAT16: ("float16", "int32_data"),
    TensorProto.INT8: ("int8", "int32_data"),
    TensorProto.INT16: ("int16", "int32_data"),
    TensorProto.INT32: ("int32", "int32_data"),
    TensorProto.INT64: ("int64", "int64_data"),
    TensorProto.UINT8: ("uint8", "int32_data"),
    TensorProto.UINT16: ("uint16", "int32_data"),
    TensorProto.UINT32: ("uint32", "uint64_data"),
    TensorProto.UINT64: ("uint64", "uint64_data"),
    TensorProto.BOOL: ("bool", "int32_data"),
}


def dtype_of(kind: int, where: str) -> np.dtype[Any]:
    """Return the NumPy type of one of ONNX's."""
    if kind not in _FIELDS:
        known = ", ".join(name for name, _ in _FIELDS.values())
        got = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else str(kind)
        raise _errors.bad_value(where, f"numbers of type {known}", got)
    return np.dtype(_FIELDS[kind][0])


def type_text(dtype: np.dtype[Any] | None) -> str:
    """Return a type in ONNX's words, such as ``tensor(float)``."""
    name = "" if dtype is None else {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name)
    return f"tensor({name})"


class Reader:
    """Reads the arrays of one model.

    Parameters
    ----------
    source : str
        The file's name, for messages.
    folder : str or None
        Where external data may lie; None: there may be none.
    """

    def __init__(self, source: str, folder: str | None) -> None:
        self.source = source
        self.folder = None if folder is None else os.path.realpath(folder)

    def array(self, tensor: TensorProto, name: str) -> Array:
        """Return a tensor's numbers, read-only."""
        where = f"{self.source}: array {name!r}"
        dtype = dtype_of(tensor.data_type, where)
        shape = tuple(tensor.dims)
        if any(size < 0 for size in shape) or len(shape) > 32:
            raise _errors.bad_value(where, "at most 32 axes with sizes from 0", f"shape {shape}")
        if tensor.HasField("segment"):
            raise _errors.bad_value(where, "a whole array", "a segment of one")
        if tensor.data_location == TensorProto.EXTERNAL:
            array = self._external(tensor, dtype, shape, where)
        elif tensor.HasField("raw_data"):
            self._check(len(tensor.raw_data), prod(shape) * dtype.itemsize, "bytes", shape, where)
            array = np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
        else:
            self._check(len(getattr(tensor, _FIELDS[tensor.data_type][1])), prod(shape), "numbers", shape, where)
            array = numpy_helper.to_array(tensor)
        array.setflags(write=False)
        return array

    def _check(self, held: int, expected: int, what: str, shape: tuple[int, ...], where: str) -> None:
        if held != expected:
            raise _errors.bad_value(where, f"{expected} {what} for shape {shape}", str(held), "is the file damaged?")

    def _external(self, tensor: TensorProto, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
        """Read numbers from another file, which must lie in the model's folder."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._beside(entries.get("location", ""), where)
        size = os.path.getsize(path)
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries["length"]) if "length" in entries else size - offset
        except ValueError:
            raise _errors.bad_value(where, "whole numbers as offset and length", repr(entries)[:200]) from None
        self._check(length, prod(shape) * dtype.itemsize, "bytes", shape, where)
        if offset < 0 or offset + length > size:
            got = f"{length} at {offset}"
            raise _errors.bad_value(where, f"bytes within the {size} of {path}", got, "is the file damaged?")
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(length)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)

    def _beside(self, location: str, where: str) -> str:
        if self.folder is None:
            raise _errors.bad_value(where, "numbers inside of the model", "external data", "give the file's path")
        path = os.path.realpath(os.path.join(self.folder, location.replace("\0", "")))
        inside = os.path.commonpath([self.folder, path]) == self.folder and not os.path.isabs(location)
        if "\0" in location or not inside or not os.path.isfile(path):
            raise _errors.bad_value(where, "external data in a file of the model's own folder", repr(location))
        return path
