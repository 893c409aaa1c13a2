"""Samples in memory, and the batches made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recurra._typing import Array


INFERENCE_BATCH = 256  # rows; enough to fill the engine, and outputs do not depend on it


class Batch(NamedTuple):
    """Some samples: inputs, targets (None for prediction) and lengths (None: all steps count)."""

    x: Array
    y: Array | None
    lengths: Array | None


class Samples:
    """Inputs with their targets and lengths, checked, in the model's dtype.

    Parameters
    ----------
    x : numpy.ndarray, shape (samples, ...)
        Inputs.
    y : numpy.ndarray, shape (samples, ...), optional
        Targets.
    lengths : numpy.ndarray, shape (samples,), optional
        Steps that count, int64.
    """

    def __init__(self, x: Array, y: Array | None, lengths: Array | None) -> None:
        self.x, self.y, self.lengths = x, y, lengths
        self.count = len(x)

    def part(self, start: int, stop: int) -> Samples:
        """Return the samples from ``start`` to ``stop``, as views."""
        rows = slice(start, stop)
        return Samples(self.x[rows], *(None if a is None else a[rows] for a in (self.y, self.lengths)))

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """Return all but the last share of the samples, and that share."""
        at = int(self.count * (1.0 - fraction))
        if not 0 < at < self.count:
            hint = f"there are {self.count} samples"
            raise _errors.bad_value("validation_split", "samples on both sides", repr(fraction), hint)
        return self.part(0, at), self.part(at, self.count)

    def steps(self, batch_size: int) -> int:
        """Return the number of batches, the last of which may be smaller."""
        return -(-self.count // batch_size)

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[Batch]:
        """Yield all samples in batches, in order or in that of the indices given.

        Ordered batches are views; others are gathered into one set of buffers, each valid until the next batch.
        """
        if order is None:
            for start in range(0, self.count, batch_size):
                rows = slice(start, start + batch_size)
                yield Batch(
                    self.x[rows],
                    None if self.y is None else self.y[rows],
                    None if self.lengths is None else self.lengths[rows],
                )
            return
        size = min(batch_size, self.count)
        x, y, lengths = (_Gathered(a, size) for a in (self.x, self.y, self.lengths))
        for start in range(0, self.count, batch_size):
            indices = order[start : start + batch_size]
            rows_x = x.take(indices)
            assert rows_x is not None
            yield Batch(rows_x, y.take(indices), lengths.take(indices))


class _Gathered:
    """Rows of an array gathered into one buffer again and again."""

    def __init__(self, source: Array | None, size: int) -> None:
        self.source = source
        self.buffer = None if source is None else np.empty((size, *source.shape[1:]), source.dtype)

    def take(self, indices: Array) -> Array | None:
        """Return the rows, in the buffer."""
        if self.source is None or self.buffer is None:
            return None
        # mode="clip" writes straight into out; the indices are those of samples, so nothing is clipped
        return self.source.take(indices, axis=0, out=self.buffer[: len(indices)], mode="clip")


def unpack(x: Any, lengths: Any) -> tuple[Any, Any]:
    """Return inputs and lengths, which may come as the pair ``(x, lengths)``."""
    if isinstance(x, tuple):
        if len(x) != 2 or lengths is not None:
            raise _errors.bad_value("x", "an array, or the pair (array, lengths)", f"a tuple of {len(x)}")
        return x
    return x, lengths


def valid_steps(lengths: Array, time: int) -> Array:
    """Return the mask (samples, time) of the steps that lengths count."""
    mask: Array = np.arange(time) < lengths[:, None]
    return mask
