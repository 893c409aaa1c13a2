"""Arrays and sequences from the columns of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.data.arrays import as_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array


def from_frame(
    frame: Any,
    features: str | Sequence[str],
    target: str | Sequence[str] | None = None,
    group_by: str | Sequence[str] | None = None,
    order_by: str | Sequence[str] | None = None,
) -> tuple[Any, Any]:
    """Return inputs and targets from a frame of pandas or Polars, or a dictionary of columns.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or dict of str to array_like
        One row for each step.
    features : str or list of str
        Columns of the inputs; they become the last axis, also if it is only one.
    target : str or list of str, optional
        Columns of the targets. One name alone gives targets without a last axis.
    group_by : str or list of str, optional
        Columns that tell which sequence a step belongs to.
    order_by : str or list of str, optional
        Columns to sort the steps by, the first one above all; by default they stay as they come.

    Returns
    -------
    x : numpy.ndarray, shape (rows, features), or list of numpy.ndarray, shape (time_i, features)
        A list with ``group_by``: one array for each group, in the order in which groups first appear.
    y : numpy.ndarray, list or None
        The targets of the same steps. For one target a sequence take the last ones: ``[t[-1] for t in y]``.

    Raises
    ------
    TypeError, ValueError
        If the frame lacks a column, or one of features or targets holds no numbers.

    Notes
    -----
    Thread-safe. Imports neither library. Missing numbers become NaN.

    Examples
    --------
    >>> from recurra.data import from_frame
    >>> frame = {"patient": ["b", "b", "a"], "day": [2, 1, 1], "pulse": [80.0, 70.0, 60.0], "ill": [1, 0, 0]}
    >>> x, y = from_frame(frame, ["pulse"], "ill", group_by="patient", order_by="day")
    >>> [part.tolist() for part in x], [part.tolist() for part in y]
    ([[[70.0], [80.0]], [[60.0]]], [[0, 1], [0]])
    """
    names = _names("features", features)
    x = _table(frame, "features", names)
    y: Array | None = None
    if target is not None:
        table = _table(frame, "target", _names("target", target))
        y = table[:, 0] if isinstance(target, str) else table
        _check_rows("target", y, len(x))
    groups = None if group_by is None else _codes(frame, _names("group_by", group_by), len(x))
    keys = [] if order_by is None else [_sortable(frame, "order_by", n) for n in _names("order_by", order_by)]
    for key in keys:
        _check_rows("order_by", key, len(x))
    if groups is None and not keys:
        return x, y
    order = np.lexsort([*keys[::-1], *([] if groups is None else [groups])])  # the last key counts most; stable
    x, y = x[order], None if y is None else y[order]
    if groups is None:
        return x, y
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(x, cuts), None if y is None else np.split(y, cuts)


def _names(argument: str, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else list(value)
    for name in names:
        if not isinstance(name, str):
            raise _errors.bad_type(argument, "names of columns", name)
    return names


def _raw(frame: Any, argument: str, name: str) -> Any:
    """Return a column as it is."""
    columns = getattr(frame, "columns", None)
    known = list(frame if columns is None and isinstance(frame, dict) else [] if columns is None else columns)
    if not known and not isinstance(frame, dict) and columns is None:
        raise _errors.bad_type("frame", "a DataFrame of pandas or Polars, or a dictionary of columns", frame)
    if name not in known:
        raise _errors.bad_value(argument, "columns of the frame", repr(name), f"it has {', '.join(map(str, known))}")
    return frame[name]


def _table(frame: Any, argument: str, names: list[str]) -> Array:
    """Return columns of numbers side by side, (rows, columns)."""
    if not names:
        raise _errors.bad_value(argument, "at least one column", "none")
    columns = [_column(frame, argument, name) for name in names]
    for name, column in zip(names, columns, strict=True):
        _check_rows(f"column {name!r}", column, len(columns[0]))
    return np.stack(columns, axis=-1)


def _check_rows(argument: str, column: Array, rows: int) -> None:
    """Raise ValueError unless a column is as long as the features; those of a frame always are."""
    if column.shape[0] != rows:
        raise _errors.bad_value(argument, f"{rows} rows, as the first feature has", f"{column.shape[0]}")


def _column(frame: Any, argument: str, name: str) -> Array:
    """Return a column of numbers."""
    array = as_array(_raw(frame, argument, name), f"column {name!r}")
    if array.ndim != 1 or not len(array):
        raise _errors.bad_value(f"column {name!r}", "one number for each of at least one row", f"shape {array.shape}")
    return array


def _sortable(frame: Any, argument: str, name: str) -> Array:
    """Return a column of numbers, times or text as ranks to sort by."""
    raw = _raw(frame, argument, name)
    values = np.asarray(raw.to_numpy() if hasattr(raw, "to_numpy") else raw)
    if values.dtype.kind == "O" and any(value is None or value != value for value in values.tolist()):
        raise _errors.bad_value(f"column {name!r}", "a value in every row", "missing ones", f"{argument} needs them")
    try:
        return np.asarray(np.unique(values, return_inverse=True)[1])
    except TypeError as error:
        raise _errors.bad_type(f"column {name!r}", "values that can be sorted", str(error)) from error


def _codes(frame: Any, names: list[str], rows: int) -> Array:
    """Return the number of each row's group, by the order in which groups first appear."""
    if not names:
        raise _errors.bad_value("group_by", "at least one column", "none")
    codes = np.zeros(rows, np.int64)
    for name in names:
        ranks = _sortable(frame, "group_by", name)
        _check_rows("group_by", ranks, rows)
        codes = np.unique(codes * (int(ranks.max(initial=0)) + 1) + ranks, return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    return np.asarray(np.argsort(np.argsort(first))[codes])
