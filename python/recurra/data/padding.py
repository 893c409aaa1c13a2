"""Sequences of different lengths in one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.data.arrays import as_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Return sequences as one array, as `keras.utils.pad_sequences` does.

    Its default puts the padding first, where a recurrent layer reads it as data. With lengths use `pad`, or
    ``padding="post"``.

    Parameters
    ----------
    sequences : list of array_like, shape (time_i, ...)
        Alike but for their lengths.
    maxlen : int, optional
        Steps of the result; by default those of the longest sequence.
    dtype : data type, default "int32"
        Of the result. The default truncates fractions, so give another for real numbers.
    padding : {"pre", "post"}, default "pre"
        Fill before or after a sequence.
    truncating : {"pre", "post"}, default "pre"
        Drop the first or the last steps of a longer one.
    value : scalar, default 0.0
        What to fill with.

    Returns
    -------
    numpy.ndarray, shape (sequences, maxlen, ...)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If the sequences are not alike, or on other wrong arguments.

    Examples
    --------
    >>> from recurra.data import pad_sequences
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
    array([[0, 1],
           [2, 3],
           [5, 6]], dtype=int32)
    """
    first = _errors.check_choice("padding", padding, ("pre", "post")) == "pre"
    drop_first = _errors.check_choice("truncating", truncating, ("pre", "post")) == "pre"
    arrays, inner = _alike(sequences, "sequences")
    most = max((len(a) for a in arrays), default=0) if maxlen is None else _errors.check_integer("maxlen", maxlen, 0)
    padded = np.full((len(arrays), most, *inner), value, dtype=np.dtype(dtype))
    for row, array in zip(padded, arrays, strict=True):
        kept = array[max(0, len(array) - most) :] if drop_first else array[:most]
        start = most - len(kept) if first else 0
        row[start : start + len(kept)] = kept
    return padded


def pad(sequences: Sequence[Any], *, value: Any = 0, argument: str = "sequences") -> tuple[Array, Array]:
    """Return sequences as one array padded at the end, and their lengths: what layers, models and ``fit`` take.

    Parameters
    ----------
    sequences : list of array_like, shape (time_i, ...)
        Alike but for their lengths.
    value : scalar, default 0
        What to fill with; no result depends on it where the lengths are passed on.
    argument : str, default "sequences"
        What a message calls them.

    Returns
    -------
    array : numpy.ndarray, shape (sequences, longest, ...)
        Of the type that holds all their values.
    lengths : numpy.ndarray of int64, shape (sequences,)
        Steps of each.

    Raises
    ------
    TypeError, ValueError
        If there are none, or they are not alike.

    Examples
    --------
    >>> from recurra.data import pad
    >>> array, lengths = pad([[1, 2, 3], [4]])
    >>> array.tolist(), lengths.tolist()
    ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    arrays, inner = _alike(sequences, argument)
    if not arrays:
        raise _errors.bad_value(argument, "at least one sequence", "none")
    lengths = np.array([len(array) for array in arrays], np.int64)
    return filled(arrays, int(lengths.max()), inner, value), lengths


def filled(arrays: Sequence[Array], steps: int, inner: tuple[int, ...], value: Any) -> Array:
    """Return arrays (time_i, *inner) as one of ``steps`` steps, filled up at the end."""
    # an empty list is an array of float64: it has no say about the type where others have one
    kinds = {array.dtype for array in arrays if len(array)} or {array.dtype for array in arrays}
    padded = np.full((len(arrays), steps, *inner), value, np.result_type(*kinds))
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


def _alike(sequences: Any, argument: str) -> tuple[list[Array], tuple[int, ...]]:
    """Return sequences as arrays, and the shape of their steps."""
    if isinstance(sequences, str | bytes | dict) or not hasattr(sequences, "__len__"):
        raise _errors.bad_type(argument, "a list of sequences", sequences)
    arrays = [as_array(part, f"{argument}[{number}]") for number, part in enumerate(sequences)]
    inner: tuple[int, ...] | None = None
    for number, array in enumerate(arrays):
        if not array.ndim:
            raise _errors.bad_type(f"{argument}[{number}]", "a sequence", "a number", "each is an array (time, ...)")
        if not len(array) and array.ndim == 1:
            continue  # an empty list has lost the shape of its steps
        if inner is None:
            inner = array.shape[1:]
        elif array.shape[1:] != inner:
            hint = "sequences may differ in their lengths alone"
            raise _errors.bad_value(f"{argument}[{number}]", f"steps of shape {inner}", f"{array.shape[1:]}", hint)
    inner = inner or ()
    return [array if len(array) else array.reshape(0, *inner) for array in arrays], inner
