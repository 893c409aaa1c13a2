"""Windows of a long series, read where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from recurra import _errors
from recurra.data.arrays import as_array
from recurra.data.dataset import IndexedDataset

if TYPE_CHECKING:
    from recurra._typing import Array


class WindowedDataset(IndexedDataset):
    """Windows of a long series; made by `timeseries_dataset`.

    Parameters
    ----------
    windows : numpy.ndarray, shape (windows, sequence_length, ...)
        A view into the series, in which windows overlap.
    targets : numpy.ndarray, shape (windows, ...), or None
        One for each window.
    batch_size, shuffle, seed
        As of `IndexedDataset`.

    Notes
    -----
    A batch is ``(x, y)``, or x alone without targets. Unshuffled batches are read-only views into the series; shuffled
    ones gather the windows of that batch and nothing else.
    """

    def __init__(self, windows: Array, targets: Array | None, batch_size: int, shuffle: bool, seed: int | None) -> None:
        super().__init__(len(windows), batch_size, shuffle, seed)
        self.windows, self.targets = windows, targets

    def take(self, rows: Any) -> Any:
        """Return the batch of some windows; see `IndexedDataset.take`."""
        x = self.windows[rows]
        if not isinstance(rows, slice):
            x = np.ascontiguousarray(x)  # gathered in the order of the view's strides
        return x if self.targets is None else (x, self.targets[rows])


def timeseries_dataset(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> WindowedDataset:
    """Return the windows of a series as a data set, as `keras.utils.timeseries_dataset_from_array` does.

    Window number i holds the steps ``s, s + sampling_rate, ...`` of ``data``, ``sequence_length`` of them, with
    ``s = start_index + i * sequence_stride``; its target is ``targets[s]``. To predict the step that follows a window
    pass ``data[:-sequence_length]`` and ``data[sequence_length:]``, or see `multi_step_targets`.

    Parameters
    ----------
    data : array_like, shape (time, ...)
        The series. A layer wants features: give a plain series as ``series[:, None]``. May be memory-mapped and larger
        than the memory.
    targets : array_like, shape (time, ...), or None
        ``targets[s]`` belongs to the window that starts at step s. None: batches are x alone.
    sequence_length : int
        Steps of a window.
    sequence_stride : int, default 1
        Steps from the start of a window to that of the next.
    sampling_rate : int, default 1
        Steps from a step of a window to the next.
    batch_size : int, default 128
        Windows of a batch; the last one may have fewer.
    shuffle : bool, default False
        Draw a new order of the windows for every epoch.
    seed : int, optional
        Of the orders; by default taken from the global seed (`recurra.set_random_seed`).
    start_index, end_index : int, optional
        Use the steps from ``start_index`` up to and without ``end_index`` alone.

    Returns
    -------
    WindowedDataset
        Whose batches are views into ``data`` without ``shuffle``, and copies of the batch's windows with it.

    Raises
    ------
    TypeError, ValueError
        If there is no whole window, or on other wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import timeseries_dataset
    >>> series = np.arange(100.0)[:, None]
    >>> data = timeseries_dataset(series[:-10], series[10:], sequence_length=10, batch_size=32)
    >>> x, y = data[0]
    >>> x.shape, y.shape, x[0, -1], y[0]
    ((32, 10, 1), (32, 1), array([9.]), array([10.]))
    """
    series = as_array(data, "data")
    if not series.ndim:
        raise _errors.bad_value("data", "an array with a time axis", "a number")
    steps = len(series)
    length = _errors.check_integer("sequence_length", sequence_length, 1)
    stride = _errors.check_integer("sequence_stride", sequence_stride, 1)
    rate = _errors.check_integer("sampling_rate", sampling_rate, 1)
    start = 0 if start_index is None else _errors.check_integer("start_index", start_index, 0, max(0, steps - 1))
    end = steps if end_index is None else _errors.check_integer("end_index", end_index, 0, steps)
    if end <= start:
        raise _errors.bad_value("end_index", f"a step after start_index, {start}", f"{end}")
    span = (length - 1) * rate + 1
    if end - start < span:
        hint = f"a window spans {span}"
        raise _errors.bad_value("data", f"at least {span} steps", f"{end - start} to use", hint)
    # (starts, ..., span) becomes (starts, length, ...); as_strided's views of a memory map read nothing yet
    windows = np.moveaxis(sliding_window_view(series[start:end], span, axis=0), -1, 1)[::stride, ::rate]
    if targets is None:
        return WindowedDataset(windows, None, batch_size, shuffle, seed)
    values = as_array(targets, "targets")
    if not values.ndim or len(values) <= start:
        got = f"{len(values)}" if values.ndim else "a number"
        raise _errors.bad_value("targets", f"at least {start + 1} values", got, "targets[s] belongs to step s")
    own = values[start:][::stride][: len(windows)]
    return WindowedDataset(windows[: len(own)], own, batch_size, shuffle, seed)


timeseries_dataset_from_array = timeseries_dataset


def multi_step_targets(series: Any, sequence_length: int, horizon: int, sampling_rate: int = 1) -> Array:
    """Return what follows each window of a series, as targets for `timeseries_dataset`.

    Parameters
    ----------
    series : array_like, shape (time, ...)
        What is to be predicted.
    sequence_length, sampling_rate : int
        Of the windows, as in `timeseries_dataset`.
    horizon : int
        How many steps to predict, each ``sampling_rate`` after the one before.

    Returns
    -------
    numpy.ndarray, shape (windows, horizon, ...)
        Row s holds the ``horizon`` values that follow the window starting at step s; a read-only view.

    Raises
    ------
    TypeError, ValueError
        If the series is too short, or on other wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import multi_step_targets
    >>> multi_step_targets(np.arange(6), sequence_length=3, horizon=2)
    array([[3, 4],
           [4, 5]])
    """
    values = as_array(series, "series")
    length = _errors.check_integer("sequence_length", sequence_length, 1)
    rate = _errors.check_integer("sampling_rate", sampling_rate, 1)
    span = (_errors.check_integer("horizon", horizon, 1) - 1) * rate + 1
    needed = length * rate + span
    if not values.ndim or len(values) < needed:
        got = f"{len(values)}" if values.ndim else "a number"
        raise _errors.bad_value("series", f"at least {needed} steps", got, "a window and what follows it")
    return np.moveaxis(sliding_window_view(values[length * rate :], span, axis=0), -1, 1)[:, ::rate]


def split_series(*arrays: Any, test_size: float | int = 0.25) -> list[Array]:
    """Split arrays in time, the last part of each for testing.

    As scikit-learn's ``train_test_split(shuffle=False)``.

    Parameters
    ----------
    *arrays : array_like, shape (time, ...)
        Of the same length.
    test_size : float or int, default 0.25
        Share of the steps for testing, rounded up, or their number.

    Returns
    -------
    list of numpy.ndarray
        ``[train, test]`` of each array in turn, as views.

    Raises
    ------
    TypeError, ValueError
        If a part would be empty, or on other wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import split_series
    >>> train, test = split_series(np.arange(10), test_size=0.2)
    >>> test
    array([8, 9])
    """
    made = [as_array(array, f"arrays[{number}]") for number, array in enumerate(arrays)]
    if not made or any(not array.ndim for array in made):
        raise _errors.bad_value("arrays", "arrays with a time axis", "none" if not made else "a number")
    steps = len(made[0])
    for number, array in enumerate(made):
        if len(array) != steps:
            raise _errors.bad_value(f"arrays[{number}]", f"{steps} steps, as the first one has", f"{len(array)}")
    if isinstance(test_size, float | np.floating):
        share = _errors.check_number("test_size", test_size, 0.0, 1.0, "a share from 0 to 1, or a number of steps")
        held = int(np.ceil(share * steps))
    else:
        held = _errors.check_integer("test_size", test_size, 0)
    if not 0 < held < steps:
        raise _errors.bad_value("test_size", "steps on both sides", f"{test_size!r}", f"there are {steps} steps")
    return [part for array in made for part in (array[: steps - held], array[steps - held :])]
