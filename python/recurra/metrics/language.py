"""Metrics of language models, and plain means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.crossentropy import SparseCategoricalCrossentropy
from recurra.losses.reduction import row_weights
from recurra.metrics.accuracy import labels_of
from recurra.metrics.base import MeanMetric, Metric, rows_of

if TYPE_CHECKING:
    from recurra._typing import Array


class _Entropy(MeanMetric):
    """Mean cross-entropy of labels, in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Outputs are logits; else probabilities.
    mask_token_id : int, optional
        A label that does not count.
    name : str, optional
        What logs call it.
    """

    def __init__(self, from_logits: bool = False, mask_token_id: int | None = None, name: str | None = None) -> None:
        self._loss = SparseCategoricalCrossentropy(from_logits, mask_token_id, reduction=None)
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"from_logits": self._loss.from_logits, "mask_token_id": self._loss.ignore_class}
        return {**own, **super().get_config()}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        labels = labels_of(y_true, y_pred.shape[-1]).astype(np.int64)
        if self._loss.ignore_class is not None:
            kept = labels != self._loss.ignore_class
            labels, y_pred = labels[kept], y_pred[kept]
            weights = None if weights is None else weights[kept]
        super().update_state(labels, y_pred, weights)

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return each row's cross-entropy."""
        values: Array = self._loss(y_true, y_pred)
        return values


class Perplexity(_Entropy):
    """exp of the mean cross-entropy of labels.

    Parameters
    ----------
    from_logits : bool, default False
        Outputs are logits; else probabilities.
    mask_token_id : int, optional
        A label that does not count.
    name : str, optional
        What logs call it.

    Notes
    -----
    Arguments are those of `keras_hub.metrics.Perplexity`; agrees with `torchmetrics.text.Perplexity`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.Perplexity()([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    2.0
    """

    name = "perplexity"

    def result(self) -> float:
        """Return the perplexity; NaN before the first batch."""
        mean = super().result()
        return math.exp(mean) if not mean > 709 else math.inf


class BitsPerCharacter(_Entropy):
    """Mean cross-entropy of labels in bits: nats / ln 2 (Graves 2013).

    Parameters
    ----------
    from_logits : bool, default False
        Outputs are logits; else probabilities.
    mask_token_id : int, optional
        A label that does not count.
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.BitsPerCharacter()([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    1.0
    """

    name = "bits_per_character"

    def result(self) -> float:
        """Return the bits; NaN before the first batch."""
        return super().result() / math.log(2.0)


class Mean(Metric):
    """Weighted mean of numbers: ``update_state(values, sample_weight=None)``.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> mean = recurra.metrics.Mean()
    >>> mean.update_state([1, 3, 5, 7], [1, 1, 0, 0])
    >>> mean.result()
    2.0
    """

    name = "mean"

    def __call__(self, values: Any, sample_weight: Any = None) -> float:  # type: ignore[override]
        """Take in numbers and return the mean so far."""
        self.update_state(values, sample_weight)
        return self.result()

    def reset_state(self) -> None:
        """Forget all numbers."""
        self.total, self.count = 0.0, 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in numbers, each with its weight."""
        array = np.atleast_1d(_errors.as_real("values", values, np.dtype(np.float64)))
        weights = np.ones(array.shape)
        if sample_weight is not None:
            weights = np.broadcast_to(row_weights(np.atleast_1d(sample_weight), array.shape), array.shape)
        kept = weights != 0.0
        self.total += float((array[kept] * weights[kept]).sum())
        self.count += float(weights.sum())

    def result(self) -> float:
        """Return the mean; 0 before the first number, as in Keras."""
        return self.total / self.count if self.count else 0.0
