"""Batches by number, in an order that the seed and the number of the epoch decide alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random
from recurra.data.arrays import as_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array

_EPOCHS = 2**32 - 1  # the random stream's counter has 32 bits


class Dataset:
    """Base of the data sets: batches by number, as Keras's ``PyDataset``.

    A subclass supplies ``__len__``, the number of batches, and ``__getitem__``, which returns batch number ``i`` as
    ``(x, y)``, ``(x, y, sample_weight)`` or, without targets, ``(x,)``. Here x is an array, ``(array, lengths)``, or a
    list or dictionary of such where a model has several inputs.

    What an epoch consists of is a function of ``seed`` and ``epoch`` alone, so a run that is resumed sees the data
    that it would have seen. Nothing holds the state of a generator.

    Attributes
    ----------
    epoch : int
        Number of the epoch whose batches are returned; the first is 0. Set it with `set_epoch`.
    stateful : bool
        Whether row n of a batch continues row n of the batch before, so that states are to be carried over;
        ``resets(i)`` then tells which rows of batch i begin anew.

    Notes
    -----
    Batches may be read from several threads, as long as none of them changes the epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import Dataset
    >>> class Noise(Dataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, i):
    ...         x = np.random.default_rng([self.epoch, i]).normal(size=(4, 7, 3))
    ...         return x, x.sum(axis=(1, 2))
    >>> [x.shape for x, y in Noise()]
    [(4, 7, 3), (4, 7, 3)]
    """

    epoch: int = 0
    stateful: bool = False

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        raise NotImplementedError(f"{type(self).__name__} defines no __len__")

    def __getitem__(self, index: int) -> Any:
        """Return batch number ``index`` of the current epoch."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch, by Keras's name."""
        return len(self)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch: batches read from now on are its.

        Parameters
        ----------
        epoch : int
            From 0. ``fit`` calls this before every epoch.

        Raises
        ------
        TypeError, ValueError
            If it is no integer from 0 to 2**32 - 1.
        """
        self.epoch = _errors.check_integer("epoch", epoch, 0, _EPOCHS)

    def on_epoch_begin(self) -> None:
        """Run before an epoch, as in Keras; does nothing."""

    def on_epoch_end(self) -> None:
        """Run after an epoch, as in Keras: goes to the next one."""
        self.set_epoch(self.epoch + 1)

    def resets(self, index: int) -> Array | None:
        """Return which rows of batch ``index`` begin a new sequence; None: all of them.

        Parameters
        ----------
        index : int
            Number of the batch.

        Returns
        -------
        numpy.ndarray of bool, shape (rows,), or None
            True where the states carried over from the batch before are to be forgotten.
        """
        return None


class IndexedDataset(Dataset):
    """Data set of samples that can be taken by their numbers; a subclass supplies ``take``.

    Parameters
    ----------
    count : int
        Number of samples, at least 1.
    batch_size : int, default 32
        Samples of a batch; the last one may have fewer.
    shuffle : bool, default False
        Draw a new order of all samples for every epoch.
    seed : int, optional
        Of the orders; by default taken from the global seed (`recurra.set_random_seed`).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import IndexedDataset
    >>> class Squares(IndexedDataset):
    ...     def take(self, rows):
    ...         numbers = np.arange(5)[rows]
    ...         return numbers, numbers**2
    >>> [y.tolist() for x, y in Squares(5, batch_size=2)]
    [[0, 1], [4, 9], [16]]
    """

    def __init__(self, count: int, batch_size: int = 32, shuffle: bool = False, seed: int | None = None) -> None:
        self.count = _errors.check_integer("count", count, 1, 2**62)
        self.batch_size = _errors.check_integer("batch_size", batch_size, 1)
        self.shuffle = _errors.check_flag("shuffle", shuffle)
        self.seed = _random.next_seed() if seed is None else _errors.check_seed("seed", seed)
        self._drawn: tuple[int, Array] | None = None

    def take(self, rows: Any) -> Any:
        """Return the batch of some samples.

        Parameters
        ----------
        rows : slice or numpy.ndarray of int64
            Numbers of samples. Without ``shuffle`` a batch is a slice, so that it can be a view.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no take")

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        return self.take(self.rows(index))

    def rows(self, index: int) -> Any:
        """Return the numbers of the samples in batch ``index``, in order: an array, or without ``shuffle`` a slice."""
        start = check_index(index, len(self)) * self.batch_size
        stop = min(start + self.batch_size, self.count)
        return self.order()[start:stop] if self.shuffle else slice(start, stop)

    def order(self) -> Array:
        """Return the numbers of all samples in the order of the current epoch, int64."""
        drawn, epoch = self._drawn, self.epoch
        if drawn is None or drawn[0] != epoch:
            drawn = self._drawn = epoch, self._order(epoch)
        return drawn[1]

    def _order(self, epoch: int) -> Array:
        if not self.shuffle:
            return np.arange(self.count)
        return _random.permutation(self.seed, epoch, self.count)


class ArrayDataset(IndexedDataset):
    """Samples in arrays, which may be memory-mapped: only the rows of a batch are read.

    Parameters
    ----------
    x : array_like, shape (samples, ...), or list or dict of such
        Inputs; for several inputs a list or dictionary of arrays. Whatever `as_array` takes.
    y : array_like, shape (samples, ...), or list or dict of such, optional
        Targets.
    sample_weight : array_like, shape (samples,) or (samples, time), optional
        Weights in the loss.
    lengths : array_like of int, shape (samples,), optional
        Steps that count of each sample of x.
    batch_size : int, default 32
        Samples of a batch; the last one may have fewer.
    shuffle : bool, default False
        Draw a new order of all samples for every epoch.
    seed : int, optional
        Of the orders; by default taken from the global seed.

    Raises
    ------
    TypeError, ValueError
        If arrays differ in their number of samples, or on other wrong arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import ArrayDataset
    >>> data = ArrayDataset(np.zeros((10, 5, 3)), np.arange(10), batch_size=4, shuffle=True, seed=1)
    >>> [x.shape for x, y in data]
    [(4, 5, 3), (4, 5, 3), (2, 5, 3)]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        self.x = _arrays("x", x)
        self.y = None if y is None else _arrays("y", y)
        self.sample_weight = None if sample_weight is None else as_array(sample_weight, "sample_weight")
        self.lengths = None if lengths is None else as_array(lengths, "lengths")
        if self.sample_weight is not None and self.y is None:
            raise _errors.bad_value("sample_weight", "none without targets", self.sample_weight, "give y")
        if self.lengths is not None and isinstance(self.x, list | dict):
            raise _errors.bad_type("lengths", "none for several inputs", self.lengths, "pad them, use a Masking layer")
        first = _leaves(self.x)[0]
        count = len(first) if first.ndim else 0
        for name in ("x", "y", "sample_weight", "lengths"):
            for array in _leaves(getattr(self, name)):
                check_count(name, array, count)
        if self.lengths is not None:
            self.lengths = _errors.check_lengths(self.lengths, count, first.shape[1] if first.ndim > 1 else 0)
        super().__init__(count, batch_size, shuffle, seed)

    def take(self, rows: Any) -> Any:
        """Return the batch of some samples; see `IndexedDataset.take`."""
        x = _taken(self.x, rows)
        if self.lengths is not None:
            x = x, self.lengths[rows]
        if self.y is None:
            return (x,)
        batch = x, _taken(self.y, rows)
        return batch if self.sample_weight is None else (*batch, self.sample_weight[rows])


def check_index(index: object, count: int) -> int:
    """Return the number of a batch; negative ones count from the end, as in lists."""
    number = _errors.check_integer("index", index, -(2**62), 2**62)
    if not -count <= number < count:
        raise IndexError(_errors.message("index", f"a batch from 0 to {count - 1}", str(number)))
    return number % count


def check_count(argument: str, array: Array, count: int) -> None:
    """Raise ValueError unless an array has so many samples, at least one."""
    if not array.ndim:
        raise _errors.bad_value(argument, "an array with a batch axis", "a number")
    if not count:
        raise _errors.bad_value(argument, "at least one sample", "none")
    if len(array) != count:
        raise _errors.bad_value(argument, f"{count} samples, as x has", f"{len(array)}")


def _arrays(argument: str, value: Any) -> Any:
    """Return an array, or a list or dictionary of arrays."""
    if isinstance(value, dict) and value:
        return {name: as_array(part, f"{argument}[{name!r}]") for name, part in value.items()}
    if isinstance(value, list) and value and all(hasattr(part, "shape") and len(part.shape) for part in value):
        return [as_array(part, f"{argument}[{number}]") for number, part in enumerate(value)]
    return as_array(value, argument)


def _leaves(value: Any) -> list[Array]:
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None else value if isinstance(value, list) else [value]


def _taken(value: Any, rows: Any) -> Any:
    """Return the rows of an array, or of each array in a list or dictionary."""
    if isinstance(value, dict):
        return {name: array[rows] for name, array in value.items()}
    return [array[rows] for array in value] if isinstance(value, list) else value[rows]
