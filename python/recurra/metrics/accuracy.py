"""Shares of right answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.metrics.base import MeanMetric

if TYPE_CHECKING:
    from recurra._typing import Array


class Accuracy(MeanMetric):
    """Share of right classes, the kind of targets being told from their shape as by Keras's name "accuracy".

    One output: `BinaryAccuracy`. Several, and targets that are labels: `SparseCategoricalAccuracy`; else
    `CategoricalAccuracy`.

    Parameters
    ----------
    name : str, optional
        What logs call it.
    threshold : float, default 0.5
        One output above it means 1.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.Accuracy()([1, 0], [[0.2, 0.8], [0.3, 0.7]])
    0.5
    """

    name = "accuracy"

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = _errors.check_number("threshold", threshold, -np.inf, np.inf, "a number")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is right."""
        if y_pred.shape[-1] == 1:
            return np.asarray((y_pred > self.threshold) == y_true.reshape(y_pred.shape))[:, 0]
        return np.asarray(y_pred.argmax(axis=-1) == labels_of(y_true, y_pred.shape[-1]))


class BinaryAccuracy(MeanMetric):
    """Share of outputs on the right side of a threshold, mean over the outputs of a row.

    Parameters
    ----------
    name : str, optional
        What logs call it.
    dtype : optional
        Accepted for Keras's sake; sums are float64.
    threshold : float, default 0.5
        Outputs above it mean 1.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.BinaryAccuracy()([1, 1, 0, 0], [0.98, 1, 0, 0.6])
    0.75
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = _errors.check_number("threshold", threshold, -np.inf, np.inf, "a number")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return each row's share of right outputs."""
        right: Array = ((y_pred > self.threshold) == matched(y_true, y_pred)).mean(axis=-1)
        return right


class CategoricalAccuracy(MeanMetric):
    """Share of rows whose largest output is that of the largest target, targets being one-hot.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    name = "categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is right."""
        return np.asarray(matched(y_true, y_pred).argmax(axis=-1) == y_pred.argmax(axis=-1))


class SparseCategoricalAccuracy(MeanMetric):
    """Share of rows whose largest output is that of the label.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """

    name = "sparse_categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is right."""
        return np.asarray(y_pred.argmax(axis=-1) == sparse(y_true))


class TopKCategoricalAccuracy(MeanMetric):
    """Share of rows whose class is among the k largest outputs, targets being one-hot.

    Parameters
    ----------
    k : int, default 5
        See above.
    name : str, optional
        What logs call it.

    Notes
    -----
    As in Keras a class counts if fewer than k outputs are larger, and rows with outputs that are not finite are wrong.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.5, 0.1, 0.4]])
    0.5
    """

    name = "top_k_categorical_accuracy"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = _errors.check_integer("k", k, 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"k": self.k, **super().get_config()}

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is among the best."""
        return self._among(matched(y_true, y_pred).argmax(axis=-1), y_pred)

    def _among(self, labels: Array, y_pred: Array) -> Array:
        if labels.size and not (labels.min() >= 0 and labels.max() < y_pred.shape[-1]):
            bad = labels[(labels < 0) | (labels >= y_pred.shape[-1])][0]
            raise _errors.bad_value("y_true", f"labels from 0 to {y_pred.shape[-1] - 1}", str(bad))
        own = np.take_along_axis(y_pred, labels.astype(np.int64)[:, None], axis=-1)
        return np.asarray(((y_pred > own).sum(axis=-1) < self.k) & np.isfinite(own[:, 0]))


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Share of rows whose label is among the k largest outputs.

    Parameters
    ----------
    k : int, default 5
        See above.
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.5, 0.1, 0.4]])
    0.5
    """

    name = "sparse_top_k_categorical_accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the label is among the best."""
        return self._among(sparse(y_true), y_pred)


def labels_of(y_true: Array, classes: int) -> Array:
    """Return the labels (rows,) of targets that are labels, or probabilities (rows, classes)."""
    if y_true.ndim == 1:
        return y_true
    labels: Array = y_true[:, 0] if y_true.shape[-1] == 1 and classes > 1 else y_true.argmax(axis=-1)
    return labels


def sparse(y_true: Array) -> Array:
    """Return labels (rows,), which may have come as (rows, 1)."""
    if y_true.ndim == 2 and y_true.shape[-1] == 1:
        return y_true[:, 0]
    if y_true.ndim != 1:
        hint = "for one-hot targets there is the metric without 'sparse'"
        raise _errors.bad_value("y_true", "labels, one per row", f"shape {y_true.shape}", hint)
    return y_true


def matched(y_true: Array, y_pred: Array) -> Array:
    """Return targets in the outputs' shape; labels of several classes become one-hot."""
    if y_true.shape == y_pred.shape:
        return y_true
    if y_pred.shape[-1] == 1 and y_true.ndim == 1:
        return y_true[:, None]
    labels, classes = y_true.reshape(-1), y_pred.shape[-1]
    if len(labels) != len(y_pred):
        raise _errors.bad_value("y_true", f"shape {y_pred.shape}, as y_pred has", f"shape {y_true.shape}")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise _errors.bad_value(
            "y_true", f"labels from 0 to {classes - 1}", str(labels[(labels < 0) | (labels >= classes)][0])
        )
    return np.asarray(labels[:, None] == np.arange(classes))
