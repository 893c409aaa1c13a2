"""The contract of every metric: it gathers batches and says a number at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.base import check_name
from recurra.losses.reduction import counted_rows, row_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from recurra._typing import Array


class Metric:
    """Base of the metrics.

    A subclass supplies ``update_state``, ``result`` and ``reset_state``, and ``get_config`` if it has arguments.

    Parameters
    ----------
    name : str, optional
        What logs call it, by default the metric's own.

    Attributes
    ----------
    name : str
        What logs call it.
    sequences : bool
        Whether it wants whole arrays and ``lengths=`` instead of the rows that count.

    Raises
    ------
    TypeError
        If the name is no text.

    Notes
    -----
    A metric holds the state of one evaluation: use one from one thread. Names, arguments and results are those of
    `keras.metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.metrics import Metric
    >>> class LargestError(Metric):
    ...     name = "largest_error"
    ...     def reset_state(self):
    ...         self.value = 0.0
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value = max(self.value, float(np.abs(y_true - y_pred).max()))
    ...     def result(self):
    ...         return self.value
    >>> LargestError()(np.zeros((2, 1)), np.array([[1.0], [-2.0]]))
    2.0
    """

    name: str = "metric"
    sequences: bool = False

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = check_name(name)
        self.reset_state()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Take in a batch and return the value so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} defines no reset_state")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like, shape (rows, outputs) or (rows,)
            Targets.
        y_pred : array_like, shape (rows, outputs)
            Outputs.
        sample_weight : array_like, shape (rows,), optional
            Factor of each row; one of weight 0 is not looked at.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit; the state stays as it was.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update_state")

    def result(self) -> Any:
        """Return the value over the batches taken in since `reset_state`; NaN before the first where it is a mean."""
        raise NotImplementedError(f"{type(self).__name__} defines no result")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a metric made with the arguments that `get_config` returned, without any batch."""
        return cls(**config)


class MeanMetric(Metric):
    """A metric that is a weighted mean over rows; a subclass says the values to average: ``values(y_true, y_pred)``."""

    def reset_state(self) -> None:
        """Forget all batches."""
        self.total, self.count = 0.0, 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        if not len(y_pred):
            return
        values = self.values(y_true, y_pred)
        self.total += float((values if weights is None else values * weights).sum(dtype=np.float64))
        self.count += values.size if weights is None else float(weights.sum())

    def result(self) -> float:
        """Return the mean; NaN before the first batch."""
        return self.total / self.count if self.count else float("nan")

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the value of each row.

        Parameters
        ----------
        y_true : numpy.ndarray, shape (rows, outputs) or (rows,)
            Targets.
        y_pred : numpy.ndarray, shape (rows, outputs)
            Outputs.

        Returns
        -------
        numpy.ndarray, shape (rows,)
            What to average.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no values")


class FunctionMetric(MeanMetric):
    """A user's function ``f(y_true, y_pred)`` of rows, averaged.

    Parameters
    ----------
    function : callable
        Gets targets and outputs (rows, outputs); returns one value per row, or their mean as one number.
    name : str, optional
        By default the function's.
    """

    def __init__(self, function: Any, name: str | None = None) -> None:
        super().__init__(name or getattr(function, "__name__", type(function).__name__))
        self.function = function

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return what the function returns, for each row."""
        values = np.asarray(self.function(y_true, y_pred))
        if values.shape not in ((), (len(y_pred),)):
            expected = f"one value per row, ({len(y_pred)},), or one number from {self.name!r}"
            raise _errors.bad_value("metrics", expected, f"shape {values.shape}")
        return np.broadcast_to(values, (len(y_pred),))


def rows_of(y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Array, Array, Array | None]:
    """Return targets, outputs and weights with all axes but the outputs' own made one.

    Rows of weight 0 are left out, so that what stands in them (NaN in padding, say) does not matter. Outputs of one
    axis are taken for single outputs of as many rows.

    Raises
    ------
    TypeError, ValueError
        If targets have neither the outputs' shape nor that without its last axis, or weights do not fit.
    """
    true, pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    if pred.ndim == 0:
        true, pred = true.reshape(-1), pred.reshape(1)
    if pred.ndim == 1:
        pred = pred[:, None]
        true = true[:, None] if true.ndim == 1 else true
    rows = pred.shape[:-1]
    if true.shape == rows:
        true = true.reshape(-1)
    elif true.shape[:-1] == rows:
        true = true.reshape(-1, true.shape[-1])
    else:
        raise _errors.bad_value("y_true", f"shape {pred.shape} or {rows}, as y_pred has", f"shape {true.shape}")
    pred = pred.reshape(-1, pred.shape[-1])
    if sample_weight is None:
        return true, pred, None
    weights = np.broadcast_to(row_weights(sample_weight, rows), rows).reshape(-1)
    kept = weights != 0.0
    return (true, pred, weights) if bool(kept.all()) else (true[kept], pred[kept], weights[kept])


def _numbers(argument: str, value: Any) -> Array:
    array = (
        np.asarray(value) if not isinstance(value, list | tuple) else _errors.as_real(argument, value, np.dtype(float))
    )
    if array.dtype.kind not in "biuf":
        raise _errors.bad_type(argument, "real numbers", f"an array of {array.dtype}")
    return array


def number_of(metric: Metric) -> float:
    """Return a metric's value for logs, which must be one number."""
    result = np.asarray(metric.result())
    if result.size != 1:
        hint = "choose one that averages, for example average='macro'"
        raise _errors.bad_value("metrics", "one number", f"{result.size} from {metric.name!r}", hint)
    return float(result.item())


def update_all(
    metrics: Iterable[Metric], y_true: Array, y_pred: Array, sample_weight: Array | None = None, lengths: Any = None
) -> None:
    """Give a batch of a model's outputs to its metrics: the rows that lengths count, or all with the lengths.

    Parameters
    ----------
    metrics : iterable of Metric
        To be updated.
    y_true, y_pred : numpy.ndarray
        Targets and outputs of a batch.
    sample_weight : numpy.ndarray, shape (batch,) or (batch, time), optional
        Factors.
    lengths : numpy.ndarray of int, shape (batch,), optional
        Steps of the outputs that count.

    Raises
    ------
    ValueError
        If a metric can make nothing of such targets and outputs.
    """
    rows: tuple[Array, Array, Array | None] | None = None
    for metric in metrics:
        try:
            if metric.sequences:
                metric.update_state(y_true, y_pred, sample_weight, lengths=lengths)  # type: ignore[call-arg]
                continue
            if rows is None:
                rows = _counted(y_true, y_pred, sample_weight, lengths)
            metric.update_state(*rows)
        except (TypeError, ValueError, IndexError) as error:
            if str(error).startswith("metrics:"):
                raise
            raise _misfit(metric, y_true, y_pred, error) from error


def _misfit(metric: Metric, y_true: Array, y_pred: Array, error: Exception) -> ValueError:
    """Return the error about a metric that cannot look at targets and outputs, with its own message if it is ours."""
    expected = f"one for targets of shape {y_true.shape} and outputs of shape {y_pred.shape}"
    ours = ": expected " in str(error)
    hint = str(error) if ours else "a Metric or a function f(y_true, y_pred) of your own can look at them"
    return _errors.bad_value("metrics", expected, repr(metric.name), hint)


def _counted(
    y_true: Array, y_pred: Array, sample_weight: Array | None, lengths: Any
) -> tuple[Array, Array, Array | None]:
    shape = y_pred.shape[:-1]
    counted = counted_rows(lengths, shape)
    if counted is None:
        if len(shape) > 1 and y_true.shape[: len(shape)] == shape:
            y_true, y_pred = y_true.reshape(-1, *y_true.shape[len(shape) :]), y_pred.reshape(-1, y_pred.shape[-1])
        weights = None if sample_weight is None else row_weights(sample_weight, shape)
        return y_true, y_pred, None if weights is None else np.broadcast_to(weights, shape).reshape(-1)
    weights = None if sample_weight is None else np.broadcast_to(row_weights(sample_weight, shape), shape)[counted]
    return y_true[counted], y_pred[counted], weights
