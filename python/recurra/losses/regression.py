"""Losses of numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.losses.base import ElementLoss, Loss
from recurra.losses.crossentropy import check_axis

if TYPE_CHECKING:
    from recurra._typing import Array

EPSILON = 1e-7  # Keras's: where a formula divides or takes a logarithm


class MeanSquaredError(ElementLoss):
    """Mean over the outputs of (y_pred - y_true)^2.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.losses.MeanSquaredError()(np.zeros((2, 3)), np.full((2, 3), 2.0))
    4.0
    """

    name = "mean_squared_error"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        error = y_pred - y_true
        return np.square(error), 2.0 * error

    def mean(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        return _core.mse(y_pred, y_true)


class MeanAbsoluteError(ElementLoss):
    """Mean over the outputs of |y_pred - y_true|; the derivative where they are equal is 0.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.MeanAbsoluteError()([[0.0, 1.0]], [[0.5, 1.0]])
    0.25
    """

    name = "mean_absolute_error"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        error = y_pred - y_true
        return np.abs(error), np.sign(error)


class MeanAbsolutePercentageError(ElementLoss):
    """Mean over the outputs of 100 |y_pred - y_true| / max(|y_true|, 1e-7).

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    25.0
    """

    name = "mean_absolute_percentage_error"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        error = y_pred - y_true
        scale = 100.0 / np.maximum(np.abs(y_true), EPSILON)
        return np.abs(error) * scale, np.sign(error) * scale


class MeanSquaredLogarithmicError(ElementLoss):
    """Mean over the outputs of (log(y_pred + 1) - log(y_true + 1))^2, both being at least 1e-7.

    The gradient is 0 where y_pred is less than that.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
    0.4805
    """

    name = "mean_squared_logarithmic_error"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        kept = np.maximum(y_pred, EPSILON)
        error = np.log1p(kept) - np.log1p(np.maximum(y_true, EPSILON))
        slope = np.where(y_pred >= EPSILON, 2.0 * error / (1.0 + kept), y_pred.dtype.type(0.0))
        return np.square(error), slope


class Huber(ElementLoss):
    """Squares for small errors, absolute values for large ones (Huber 1964), mean over the outputs.

    With e = y_pred - y_true: e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2.

    Parameters
    ----------
    delta : float, default 1.0
        Where it changes from one to the other.
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]])
    1.5
    """

    name = "huber"

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(reduction, name)
        least = math.ulp(0.0)
        self.delta = _errors.check_number("delta", delta, least, math.inf, "a number above 0")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"delta": self.delta, **super().get_config()}

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        error = y_pred - y_true
        slope = np.clip(error, -self.delta, self.delta)
        return slope * (error - 0.5 * slope), slope


class LogCosh(ElementLoss):
    """Mean over the outputs of log(cosh(y_pred - y_true)), without overflow.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.LogCosh()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    name = "log_cosh"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        error = y_pred - y_true
        size = np.abs(error)
        return size + np.log1p(np.exp(-2.0 * size)) - math.log(2.0), np.tanh(error)


class CosineSimilarity(Loss):
    """-cos of the angle between y_true and y_pred: -1 where they point the same way.

    A vector is divided by max(its length, 1e-7), so that one of zeros gives 0.

    Parameters
    ----------
    axis : int, default -1
        Of the vectors; -1 is the only one.
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]])
    -1.0
    """

    name = "cosine_similarity"

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(reduction, name)
        self.axis = check_axis(axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"axis": self.axis, **super().get_config()}

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        target = y_true / _length(y_true)
        length = _length(y_pred)
        unit = y_pred / length
        cosine = (target * unit).sum(axis=-1, keepdims=True)
        along = np.where(length > EPSILON, cosine, y_pred.dtype.type(0.0))
        return -cosine[..., 0], (along * unit - target) / length


def _length(x: Array) -> Array:
    """Return the vectors' lengths, at least 1e-7, with the last axis kept."""
    largest = np.maximum(np.abs(x).max(axis=-1, keepdims=True), x.dtype.type(np.finfo(x.dtype).tiny))
    scaled = x / largest  # so that squares neither overflow nor vanish
    lengths: Array = np.maximum(largest * np.sqrt(np.square(scaled).sum(axis=-1, keepdims=True)), EPSILON)
    return lengths
