"""Long series in stretches, each batch continuing the one before: truncated backpropagation through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random
from recurra.data.arrays import as_array
from recurra.data.dataset import Dataset, check_index
from recurra.data.padding import _alike, filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array


class StreamDataset(Dataset):
    """One series cut into rows that are read side by side, a stretch a batch; made by `stream_dataset`.

    Row n of a batch continues row n of the batch before; all rows begin with batch 0.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (rows, time, ...)
        Inputs and targets.
    steps : int
        Steps of a batch; the last one of an epoch may have fewer.

    Notes
    -----
    A batch is ``(x, y)``, views into the series.
    """

    stateful = True

    def __init__(self, x: Array, y: Array, steps: int) -> None:
        self.x, self.y, self.steps = x, y, steps

    def __len__(self) -> int:
        return -(-int(self.x.shape[1]) // self.steps)

    def __getitem__(self, index: int) -> Any:
        start = check_index(index, len(self)) * self.steps
        part = slice(start, start + self.steps)
        return self.x[:, part], self.y[:, part]

    def resets(self, index: int) -> Array:
        """Return which rows of batch ``index`` begin anew: all of the first one; see `Dataset.resets`."""
        return np.full(len(self.x), check_index(index, len(self)) == 0)


class ManyStreamsDataset(Dataset):
    """Many series, read side by side, a stretch of each a batch; made by `stream_dataset`.

    Each row reads one series after the other, and begins anew with each; the rows are filled so that they end as
    evenly as may be. A row that has ended stays, with length 0, so that the number of rows does not change.

    Parameters
    ----------
    x, y : list of numpy.ndarray, shape (time_i, ...)
        Inputs and targets of each series.
    batch_size, steps : int
        Rows of a batch, and their steps.
    shuffle : bool
        Read the series in a new order every epoch.
    seed : int, optional
        Of the orders.

    Notes
    -----
    A batch is ``((x, lengths), y)``, padded with 0 at the end.
    """

    stateful = True

    def __init__(
        self, x: list[Array], y: list[Array], batch_size: int, steps: int, shuffle: bool, seed: int | None
    ) -> None:
        self.x, self.y, self.batch_size, self.steps, self.shuffle = x, y, batch_size, steps, shuffle
        self.seed = _random.next_seed() if seed is None else _errors.check_seed("seed", seed)
        self._planned: tuple[int, list[list[tuple[int, int]]]] | None = None

    def _plan(self) -> list[list[tuple[int, int]]]:
        """Return, for each row, its stretches as (series, first step), in the current epoch."""
        planned, epoch = self._planned, self.epoch
        if planned is None or planned[0] != epoch:
            count = len(self.x)
            order = _random.permutation(self.seed, epoch, count) if self.shuffle else np.arange(count)
            # longest first onto the row that ends first; within a row the order is the epoch's
            place = np.argsort(order)
            rows: list[list[int]] = [[] for _ in range(self.batch_size)]
            ends = [0] * self.batch_size
            for series in sorted(order.tolist(), key=lambda number: -self._stretches(number)):
                row = ends.index(min(ends))
                rows[row].append(series)
                ends[row] += self._stretches(series)
            stretches = [
                [
                    (series, start)
                    for series in sorted(row, key=lambda number: int(place[number]))
                    for start in range(0, len(self.x[series]), self.steps)
                ]
                for row in rows
            ]
            planned = self._planned = epoch, stretches
        return planned[1]

    def _stretches(self, series: int) -> int:
        return -(-len(self.x[series]) // self.steps)

    def __len__(self) -> int:
        return max(len(row) for row in self._plan())

    def __getitem__(self, index: int) -> Any:
        number = check_index(index, len(self))
        parts: list[tuple[Array, Array]] = []
        for row in self._plan():
            series, start = row[number] if number < len(row) else (0, len(self.x[0]))
            part = slice(start, start + self.steps)
            parts.append((self.x[series][part], self.y[series][part]))
        lengths = np.array([len(x) for x, _ in parts], np.int64)
        longest = int(lengths.max())
        x, y = (filled(list(side), longest, side[0].shape[1:], 0) for side in zip(*parts, strict=True))
        return (x, lengths), y

    def resets(self, index: int) -> Array:
        """Return which rows of batch ``index`` begin a series; see `Dataset.resets`."""
        number = check_index(index, len(self))
        return np.array([number >= len(row) or row[number][1] == 0 for row in self._plan()])


def stream_dataset(
    series: Any,
    batch_size: int,
    steps: int,
    targets: Any = None,
    *,
    shuffle: bool = False,
    seed: int | None = None,
) -> StreamDataset | ManyStreamsDataset:
    """Return a long series, or many, as batches that continue each other, for truncated backpropagation through time.

    One series of T steps becomes ``batch_size`` rows of ``T // batch_size`` steps, which batches walk along together,
    ``steps`` at a time; the remainder of the series that makes no whole row is left out. Of a list of series each
    keeps to one row, and rows begin anew where a series does.

    Parameters
    ----------
    series : array_like, shape (time, ...), or list of such
        Values (time, features), or tokens (time,). May be memory-mapped. A list of arrays means many series.
    batch_size : int
        Rows of a batch.
    steps : int
        Steps of a batch: how far gradients reach.
    targets : array_like, shape (time, ...), or list of such, optional
        One for each step. By default the next step: a series is then the input without its last step, and the target
        without its first.
    shuffle : bool, default False
        Read a list of series in a new order every epoch. The order within one series is its own.
    seed : int, optional
        Of the orders; by default taken from the global seed (`recurra.set_random_seed`).

    Returns
    -------
    Dataset
        Its attribute ``stateful`` is True, and ``resets(i)`` says which rows of batch i begin anew, so that ``fit``
        carries states from batch to batch and resets these rows.

    Raises
    ------
    TypeError, ValueError
        If a series is too short, targets do not fit it, or on other wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import stream_dataset
    >>> data = stream_dataset(np.arange(13), batch_size=2, steps=4)
    >>> for (x, y), resets in zip(data, map(data.resets, range(len(data)))):
    ...     print(x.tolist(), y.tolist(), resets)
    [[0, 1, 2, 3], [6, 7, 8, 9]] [[1, 2, 3, 4], [7, 8, 9, 10]] [ True  True]
    [[4, 5], [10, 11]] [[5, 6], [11, 12]] [False False]
    """
    rows = _errors.check_integer("batch_size", batch_size, 1)
    stretch = _errors.check_integer("steps", steps, 1)
    shuffle = _errors.check_flag("shuffle", shuffle)
    if isinstance(series, list | tuple) and series and all(np.ndim(part) for part in series):
        return ManyStreamsDataset(*_many(series, targets), rows, stretch, shuffle, seed)
    if shuffle:
        raise _errors.bad_value("shuffle", "False for one series", "True", "a list of series can be shuffled")
    values = as_array(series, "series")
    x, y = _pair(values, targets, "")
    if len(x) < rows:
        hint = "each row is a stretch of the series"
        raise _errors.bad_value("series", f"at least {rows + (targets is None)} steps", f"{len(values)}", hint)
    each = len(x) // rows
    x, y = (part[: each * rows].reshape(rows, each, *part.shape[1:]) for part in (x, y))
    return StreamDataset(x, y, stretch)


def _pair(values: Array, targets: Any, place: str) -> tuple[Array, Array]:
    """Return inputs and targets of one series."""
    if not values.ndim or not len(values):
        raise _errors.bad_value(f"series{place}", "at least one step", "none" if values.ndim else "a number")
    if targets is None:
        if len(values) < 2:
            raise _errors.bad_value(f"series{place}", "at least two steps", "1", "targets are the next step")
        return values[:-1], values[1:]
    wanted = as_array(targets, f"targets{place}")
    if not wanted.ndim or len(wanted) != len(values):
        got = f"{len(wanted)}" if wanted.ndim else "a number"
        raise _errors.bad_value(f"targets{place}", f"{len(values)} steps, as the series has", got)
    return values, wanted


def _many(series: Sequence[Any], targets: Any) -> tuple[list[Array], list[Array]]:
    arrays, _ = _alike(series, "series")
    if targets is None:
        wanted: Sequence[Any] = [None] * len(arrays)
    elif not isinstance(targets, list | tuple) or len(targets) != len(arrays):
        got = f"{len(targets)}" if isinstance(targets, list | tuple) else targets
        raise _errors.bad_value("targets", f"a list of {len(arrays)}, one for each series", got)
    else:
        wanted = _alike(targets, "targets")[0]
    pairs = [_pair(a, b, f"[{i}]") for i, (a, b) in enumerate(zip(arrays, wanted, strict=True))]
    return [x for x, _ in pairs], [y for _, y in pairs]
