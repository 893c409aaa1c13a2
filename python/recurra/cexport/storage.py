"""How a matrix of weights is stored in a C file: float32, float16, or int8 with a scale for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer

# What an argument says, and what it is in C.
KINDS = {"float32": "float", "float16": "uint16_t", "int8": "int8_t"}

_VECTORS = ("h0", "c0")  # of more than one axis, but added rather than multiplied


class Stored(NamedTuple):
    """A matrix as it is stored.

    Attributes
    ----------
    codes : numpy.ndarray
        float32, the bits of float16 as uint16, or int8; in the matrix's shape.
    scales : numpy.ndarray, shape (rows,), or None
        What the codes of each row are multiplied with.
    """

    codes: Array
    scales: Array | None

    def values(self) -> Array:
        """Return the float32 numbers that the codes mean."""
        if self.codes.dtype == np.uint16:
            return self.codes.view(np.float16).astype(np.float32)
        if self.scales is None:
            return self.codes
        wide: Array = self.codes.astype(np.float32) * self.scales.reshape(-1, *(1,) * (self.codes.ndim - 1))
        return wide


def store(kind: str, matrix: Array) -> Stored:
    """Return a matrix (rows, ...) in one of the kinds, its rows belonging to one output each.

    int8 is symmetric: the largest number of a row, in size, becomes 127 or -127.

    Raises
    ------
    ValueError
        If a number is not finite, or too large for the kind.
    """
    matrix = finite(matrix)
    if kind == "float32":
        return Stored(matrix, None)
    if kind == "float16":
        if np.abs(matrix).max(initial=0.0) > np.finfo(np.float16).max:
            hint = "weights='int8' has a scale for each row"
            raise _errors.bad_value("weights", "numbers up to 65504 for float16", "larger ones", hint)
        return Stored(matrix.astype(np.float16).view(np.uint16), None)
    largest = np.abs(matrix.reshape(len(matrix), -1)).max(axis=1, initial=0.0)
    scales = np.where(largest > 0, largest / np.float32(127.0), np.float32(1.0)).astype(np.float32)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)  # dividing by less would overflow
    codes = np.rint(matrix / scales.reshape(-1, *(1,) * (matrix.ndim - 1))).clip(-127, 127)
    return Stored(codes.astype(np.int8), scales)


def finite(values: Array) -> Array:
    """Return numbers as float32; C has no literal for others."""
    narrow = np.asarray(values).astype(np.float32)
    if not np.isfinite(narrow).all():
        hint = "the training went wrong; see recurra.callbacks.TerminateOnNaN"
        raise _errors.bad_value("weights", "finite float32 numbers", "NaN, infinite or larger ones", hint)
    return narrow


def rounded(model: Layer, kind: str) -> Layer:
    """Return a copy of a model with the weights that a file of this kind holds, to be run in Python."""
    copy = model.clone()
    for name, view in copy.parameters.items():
        if view.ndim > 1 and name.rpartition(".")[2] not in _VECTORS:
            view[...] = store(kind, view).values()
    return copy
