"""Losses of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra import _core
from recurra.losses.base import Loss

if TYPE_CHECKING:
    from recurra._typing import Array


class MeanSquaredError(Loss):
    """Mean over all elements of (y_pred - y_true)^2.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.losses.MeanSquaredError()(np.zeros((2, 3)), np.full((2, 3), 2.0))
    4.0
    """

    name = "mse"

    def vjp(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the loss and its gradient; see `Loss.vjp`."""
        return _core.mse(y_pred, y_true)
