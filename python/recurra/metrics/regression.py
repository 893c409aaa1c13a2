"""Errors of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra.metrics.base import MeanMetric

if TYPE_CHECKING:
    from recurra._typing import Array


class MeanAbsoluteError(MeanMetric):
    """Mean over rows and outputs of |y_pred - y_true|.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.MeanAbsoluteError()([0.0, 1.0], [0.5, 1.0])
    0.25
    """

    name = "mean_absolute_error"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return each row's mean absolute error."""
        errors: Array = np.abs(y_pred - y_true.reshape(y_pred.shape)).mean(axis=-1)
        return errors
