"""Losses of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra import _core
from recurra.losses.base import Loss

if TYPE_CHECKING:
    from recurra._typing import Array


class MeanSquaredError(Loss):
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

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        error = y_pred - y_true
        value = np.square(error).mean(axis=-1)
        error *= error.dtype.type(2.0 / error.shape[-1])
        return value, error

    def mean(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        return _core.mse(y_pred, y_true)
