"""Samples in memory, checked, and the batches made of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recurra._typing import Array


INFERENCE_BATCH = 256  # rows; enough to fill the engine, and outputs do not depend on it
GATHERED = 2**18  # bytes of shuffled batches that are gathered with one call: they stay in a cache of the second level


class Batch(NamedTuple):
    """Some samples.

    Attributes
    ----------
    x : list of numpy.ndarray
        One array for each input of the model.
    y : list of numpy.ndarray
        One for each output; empty for prediction.
    lengths : list of (numpy.ndarray or None)
        One for each input; None: all steps count.
    weights : list of (numpy.ndarray or None)
        One for each output: (samples,) or (samples, time); None: all weigh 1.
    resets : numpy.ndarray, shape (samples,), or None
        Where rows start a new sequence, so that carried states are reset; None: all do.
    """

    x: list[Array]
    y: list[Array]
    lengths: list[Array | None]
    weights: list[Array | None]
    resets: Array | None = None

    @property
    def rows(self) -> int:
        """The number of samples."""
        return len(self.x[0])

    def stretches(self, steps: int) -> Iterator[Batch]:
        """Yield the batch cut into stretches of time, each going on where the one before ended."""
        time = max(a.shape[1] for a in self.x)
        if any(a.ndim < 2 or a.shape[1] != time for a in [*self.x, *self.y]):
            hint = "return_sequences=True in all recurrent layers, and targets per step"
            raise _errors.bad_value("tbptt", "a model with outputs per time step", "other targets", hint)
        for start in range(0, time, steps):
            part = slice(start, start + steps)
            yield Batch(
                [a[:, part] for a in self.x],
                [a[:, part] for a in self.y],
                [None if n is None else np.clip(n - start, 0, min(steps, time - start)) for n in self.lengths],
                [w if w is None or w.ndim == 1 else w[:, part] for w in self.weights],
                np.zeros(self.rows, bool) if start else self.resets,
            )


class Samples:
    """Inputs with their targets, lengths and weights, checked, in the model's dtype.

    Parameters
    ----------
    x, y, lengths, weights
        As in `Batch`, for all samples.
    """

    def __init__(
        self,
        x: list[Array],
        y: list[Array],
        lengths: Sequence[Array | None],
        weights: Sequence[Array | None] = (),
    ) -> None:
        self.x, self.y, self.lengths, self.weights = x, y, list(lengths), list(weights) or [None] * len(y)
        self.count = len(x[0])

    def part(self, start: int, stop: int) -> Samples:
        """Return the samples from ``start`` to ``stop``, as views."""
        return Samples(*self.batch(slice(start, stop))[:4])

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """Return all but the last share of the samples, and that share."""
        at = int(self.count * (1.0 - fraction))
        if not 0 < at < self.count:
            hint = f"there are {self.count} samples"
            raise _errors.bad_value("validation_split", "samples on both sides", repr(fraction), hint)
        return self.part(0, at), self.part(at, self.count)

    def batch(self, rows: slice) -> Batch:
        """Return some samples as views."""
        x, y, lengths, weights = (
            [None if a is None else a[rows] for a in part] for part in (self.x, self.y, self.lengths, self.weights)
        )
        return Batch(x, y, lengths, weights)  # type: ignore[arg-type]

    def batches(self, size: int, order: Array | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield the samples in batches from number ``first`` on, in order or in that of the indices given.

        Ordered batches are views; others are gathered, a few at once, into one set of buffers: each is valid until the
        next batch.
        """
        if order is None:
            for start in range(first * size, self.count, size):
                yield self.batch(slice(start, start + size))
            return
        parts = self.x, self.y, self.lengths, self.weights
        each = size * sum(a[:1].nbytes for part in parts for a in part if a is not None)
        rows = min(self.count, size * max(1, GATHERED // max(each, 1)))
        buffers = [[None if a is None else np.empty((rows, *a.shape[1:]), a.dtype) for a in part] for part in parts]
        pairs = [
            (a, b)
            for a, b in zip(itertools.chain(*parts), itertools.chain(*buffers), strict=True)
            if a is not None and b is not None
        ]
        room = Samples(*buffers)  # type: ignore[arg-type]
        whole = list(room.batches(size))
        for start in range(first * size, self.count, rows):
            indices = order[start : start + rows]
            count = len(indices)
            for source, buffer in pairs:
                # mode="clip" writes straight into out; the indices are those of samples, so nothing is clipped
                source.take(indices, axis=0, out=buffer[:count], mode="clip")
            yield from whole if count == rows else room.part(0, count).batches(size)


def valid_steps(lengths: Array, time: int) -> Array:
    """Return the mask (samples, time) of the steps that lengths count."""
    mask: Array = np.arange(time) < lengths[:, None]
    return mask


def is_ragged(value: Any) -> bool:
    """Return whether a list holds sequences of different lengths."""
    if not isinstance(value, list | tuple) or len(value) < 2:
        return False
    if not all(hasattr(part, "__len__") and not isinstance(part, str) for part in value):
        return False
    return len({len(part) for part in value}) > 1
