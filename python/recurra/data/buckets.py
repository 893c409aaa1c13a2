"""Batches of sequences of like length, so that little is padded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _random
from recurra.data.arrays import as_array
from recurra.data.dataset import IndexedDataset, check_count, check_index
from recurra.data.padding import _alike, filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

# A bucket's shortest sequence has at least this share of its longest one's steps: at most 5 % more padding than
# batches of sorted sequences would have, about half of it for an even spread.
_LIKE = 0.95


class BucketedDataset(IndexedDataset):
    """Sequences of different lengths in padded batches, each of sequences of like length.

    Sequences are sorted into buckets of like length; every epoch shuffles each bucket, cuts the row of buckets into
    batches, and shuffles the batches. A batch may span neighbouring buckets, so all are full but one.

    Parameters
    ----------
    sequences : list of array_like, shape (time_i, ...)
        Inputs, alike but for their lengths; integers for an Embedding.
    y : array_like, shape (samples, ...), or list of array_like, shape (time_i, ...), optional
        Targets, one for each sequence; or a list of sequences of targets, one for each step, padded as the inputs are.
    batch_size : int, default 32
        Samples of a batch.
    sample_weight : array_like, shape (samples,), optional
        Weights in the loss.
    bucket_boundaries : list of int, optional
        Lengths at which the second and later buckets begin, increasing, as in ``tf.data``'s
        ``bucket_by_sequence_length``. By default buckets are made so that batches have at most 5 % more padding than
        batches of sorted sequences.
    shuffle : bool, default True
        Draw new batches and a new order for every epoch. Without, batches come from short to long.
    value : scalar, default 0
        What to pad with.
    seed : int, optional
        Of the orders; by default taken from the global seed (`recurra.set_random_seed`).

    Attributes
    ----------
    padding_share : float
        Share of the steps in the current epoch's batches that is padding, 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If there are no sequences, they are not alike or ``y`` does not fit them, or on other wrong arguments.

    Notes
    -----
    A batch is ``((array, lengths), y)``, or ``((array, lengths), y, sample_weight)``.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.data import BucketedDataset
    >>> sequences = [np.ones((length, 3)) for length in range(1, 65)]
    >>> data = BucketedDataset(sequences, np.arange(64), batch_size=16, seed=1)
    >>> len(data), data.padding_share < 0.25
    (4, True)
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        y: Any = None,
        batch_size: int = 32,
        *,
        sample_weight: Any = None,
        bucket_boundaries: Sequence[int] | None = None,
        shuffle: bool = True,
        value: Any = 0,
        seed: int | None = None,
    ) -> None:
        self.sequences, self._inner = _alike(sequences, "sequences")
        if not self.sequences:
            raise _errors.bad_value("sequences", "at least one sequence", "none")
        super().__init__(len(self.sequences), batch_size, shuffle, seed)
        self.lengths = np.array([len(array) for array in self.sequences], np.int64)
        self.value = value
        self.y, self._target = self._targets(y)
        self.sample_weight = None if sample_weight is None else as_array(sample_weight, "sample_weight")
        if self.sample_weight is not None:
            if self.y is None:
                raise _errors.bad_value("sample_weight", "none without targets", self.sample_weight, "give y")
            check_count("sample_weight", self.sample_weight, self.count)
        self._buckets = _buckets(self.lengths, bucket_boundaries)
        self._places_drawn: tuple[int, Array] | None = None

    def _targets(self, y: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Return the targets, and the shape of one where each step has its own."""
        if y is None:
            return None, None
        if not _is_sequences(y):
            array = as_array(y, "y")
            check_count("y", array, self.count)
            return array, None
        if len(y) != self.count:
            raise _errors.bad_value("y", f"{self.count} samples, as there are sequences", f"{len(y)}")
        targets, inner = _alike(y, "y")
        for number, (target, length) in enumerate(zip(targets, self.lengths.tolist(), strict=True)):
            if len(target) != length:
                hint = "one target for each step of the sequence, or one array (samples, ...)"
                raise _errors.bad_value(f"y[{number}]", f"{length} steps", f"{len(target)}", hint)
        return targets, inner

    def _order(self, epoch: int) -> Array:
        """Return the samples of an epoch, from short to long but for the order within buckets."""
        if not self.shuffle:
            return np.argsort(self.lengths, kind="stable")
        shuffled = _random.permutation(self.seed, epoch, self.count)
        return shuffled[np.argsort(self._buckets[shuffled], kind="stable")]

    def _places(self) -> Array:
        """Return which stretch of the order each batch of the current epoch is."""
        drawn, epoch = self._places_drawn, self.epoch
        if drawn is None or drawn[0] != epoch:
            # of another seed than the samples' order, which has the epoch for its stream
            seed = _random.derive(self.seed, _random.STREAM_CALL, 0)
            drawn = self._places_drawn = epoch, _random.permutation(seed, epoch, len(self))
        return drawn[1]

    def rows(self, index: int) -> Array:
        """Return the numbers of the samples in batch ``index``, in order."""
        count = len(self)
        place = check_index(index, count)
        if self.shuffle:
            place = int(self._places()[place])
        # the incomplete batch is that of the longest sequences, which differ most: a third less padding in a long tail
        return self.order()[place * self.batch_size : (place + 1) * self.batch_size]

    def take(self, rows: Array) -> Any:
        """Return the batch of some samples; see `IndexedDataset.take`."""
        lengths = self.lengths[rows]
        steps = int(lengths.max())
        x = filled([self.sequences[row] for row in rows], steps, self._inner, self.value), lengths
        if self.y is None:
            return (x,)
        stepwise = self._target is not None
        y = filled([self.y[row] for row in rows], steps, self._target or (), 0) if stepwise else self.y[rows]
        return (x, y) if self.sample_weight is None else (x, y, self.sample_weight[rows])

    @property
    def padding_share(self) -> float:
        """Share of the steps in the current epoch's batches that is padding."""
        parts = [self.lengths[self.rows(index)] for index in range(len(self))]
        padded = sum(len(part) * int(part.max()) for part in parts)
        return 1.0 - float(self.lengths.sum()) / padded if padded else 0.0


def _is_sequences(y: Any) -> bool:
    """Return whether targets are a list of sequences, rather than one array."""
    return isinstance(y, list | tuple) and len(y) > 0 and all(hasattr(part, "__len__") and np.ndim(part) for part in y)


def _buckets(lengths: Array, boundaries: Sequence[int] | None) -> Array:
    """Return the number of each sequence's bucket, increasing with its length."""
    if boundaries is None:
        edges = [int(lengths.max())]
        while edges[-1] > 1:
            edges.append(min(edges[-1] - 1, int(edges[-1] * _LIKE)))
        return np.searchsorted(edges[::-1], lengths, side="left")
    edges = [_errors.check_integer("bucket_boundaries", edge, 1) for edge in boundaries]
    if edges != sorted(set(edges)):
        raise _errors.bad_value("bucket_boundaries", "increasing lengths", edges)
    return np.searchsorted(edges, lengths, side="right")
