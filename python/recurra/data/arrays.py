"""What users hold their numbers in, as NumPy arrays, without a copy where there is a way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra._typing import Array


def as_array(value: Any, argument: str = "value") -> Array:
    """Return numbers of any common kind as a NumPy array.

    NumPy arrays (memory-mapped ones too) are returned as they are. Tensors of PyTorch, JAX and others on the CPU are
    shared through DLPack; frames and series of pandas and Polars are converted, columns becoming the last axis, missing
    values NaN; lists and numbers are copied. The element type stays what it is.

    Parameters
    ----------
    value : array_like, tensor, frame or series
        The numbers.
    argument : str, default "value"
        What a message calls it.

    Returns
    -------
    numpy.ndarray
        Treat it as read-only: it may share its memory with ``value``.

    Raises
    ------
    TypeError
        If ``value`` holds no numbers, or lies on another device.
    ValueError
        If sequences differ in length; see `pad`.

    Notes
    -----
    Thread-safe. Imports nothing: a library is used if the value brings it.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import as_array
    >>> as_array([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    array = _converted(value, argument)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "O":
        return _numbers(array, argument)
    hint = "TextVectorization makes integers of text" if array.dtype.kind in "SUT" else ""
    raise _errors.bad_type(argument, "numbers", f"an array of {array.dtype}", hint)


def shown(value: Any) -> str:
    """Return how a message speaks of a value that may be text."""
    return repr(value)[:60] if isinstance(value, str | bytes) else _errors.describe(value)


def _converted(value: Any, argument: str) -> Array:
    """Return the value as an array of whatever it holds."""
    if isinstance(value, np.ndarray):
        return value
    if value is None or isinstance(value, str | bytes | dict | set | frozenset):
        raise _errors.bad_type(argument, "numbers: an array, tensor, frame or list", shown(value))
    if hasattr(value, "to_numpy"):  # pandas, Polars, Arrow; before __dlpack__, which refuses missing values
        return _from_frame(value, argument)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, argument)
    if hasattr(value, "toarray"):
        hint = "make it dense: value.toarray()"
        raise _errors.bad_type(argument, "a dense array", type(value).__name__, hint)
    if isinstance(value, list | tuple) and any(hasattr(part, "__dlpack__") for part in value):
        value = [as_array(part, argument) for part in value]  # NumPy alone would go through tensors number by number
    try:
        return np.asarray(value)
    except ValueError:
        hint = "pad them: recurra.data.pad(sequences) returns array and lengths"
        raise _errors.bad_value(argument, "one array", "sequences of different lengths", hint) from None


def _from_dlpack(value: Any, argument: str) -> Array:
    if getattr(value, "requires_grad", False):
        value = value.detach()  # PyTorch exports no tensor that records gradients
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        expected = "a tensor on the CPU of a type that NumPy has"
        got = f"{type(value).__name__} on {getattr(value, 'device', 'another device')}"
        got += f" of {value.dtype}" if hasattr(value, "dtype") else ""
        raise _errors.bad_type(argument, expected, got, f"move or cast it first ({error})") from error


def _from_frame(value: Any, argument: str) -> Array:
    array = np.asarray(value.to_numpy())
    if array.dtype.kind == "O":
        return array.reshape(1) if not array.ndim else array
    return array


def _numbers(array: Array, argument: str) -> Array:
    """Return an array of Python objects as numbers: missing ones (None, pandas.NA) become NaN."""
    flat = [_number(part) for part in array.reshape(-1).tolist()]
    for number, part in enumerate(flat):
        if part is None:
            where = tuple(int(i) for i in np.unravel_index(number, array.shape))
            got = array[where]
            if hasattr(got, "__len__") and not isinstance(got, str | bytes):
                hint = "pad them: recurra.data.pad(sequences) returns array and lengths"
                raise _errors.bad_value(argument, "one array", "sequences of different lengths", hint)
            raise _errors.bad_type(argument, "numbers", f"{got!r} at {where}")
    return np.array(flat).reshape(array.shape)


def _number(value: Any) -> Any:
    """Return a number, NaN for a missing one, None for what is none."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return value
    try:
        return float(value) if type(value).__name__ in ("Decimal", "Fraction") else None
    except (TypeError, ValueError):
        return None
