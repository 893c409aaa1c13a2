"""The contract of every metric: it gathers batches and says a number at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra._typing import Array


class Metric:
    """Base of the metrics.

    Attributes
    ----------
    name : str
        What logs call it.

    Notes
    -----
    A metric holds the state of one evaluation: use one from one thread.
    """

    name = "metric"

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError

    def update(self, y_true: Array, y_pred: Array) -> None:
        """Take in a batch of targets and outputs."""
        raise NotImplementedError

    def result(self) -> float:
        """Return the value over the batches taken in since `reset`."""
        raise NotImplementedError


class MeanMetric(Metric):
    """A metric that is a mean over elements; a subclass says the values to average."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total, self.count = 0.0, 0

    def update(self, y_true: Array, y_pred: Array) -> None:
        """Take in a batch of targets and outputs."""
        values = self.values(y_true, y_pred)
        self.total += float(values.sum(dtype="float64"))
        self.count += values.size

    def result(self) -> float:
        """Return the mean; NaN before the first batch."""
        return self.total / self.count if self.count else float("nan")

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return what to average."""
        raise NotImplementedError
