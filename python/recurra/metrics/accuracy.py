"""Shares of right answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recurra.metrics.base import MeanMetric

if TYPE_CHECKING:
    from recurra._typing import Array


class Accuracy(MeanMetric):
    """Share of right classes, the kind of targets being told from their shape as by Keras's name "accuracy".

    The class of an output is its largest element, of a single output whether it exceeds 1/2; targets may be labels or
    one-hot, as the loss has them.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.Accuracy()([1, 0], [[0.2, 0.8], [0.3, 0.7]])
    0.5
    """

    name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is right."""
        if y_pred.shape[-1] == 1:
            return np.asarray((y_pred > 0.5) == y_true.reshape(y_pred.shape))[:, 0]
        return np.asarray(y_pred.argmax(axis=-1) == labels_of(y_true, y_pred.shape[-1]))


def labels_of(y_true: Array, classes: int) -> Array:
    """Return the labels (rows,) of targets that are labels, or probabilities (rows, classes)."""
    if y_true.ndim == 1:
        return y_true
    labels: Array = y_true[:, 0] if y_true.shape[-1] == 1 and classes > 1 else y_true.argmax(axis=-1)
    return labels
