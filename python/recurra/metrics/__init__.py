"""Metrics: numbers for people, beside the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.metrics.base import MeanMetric, Metric

if TYPE_CHECKING:
    from recurra._typing import Array

__all__ = ["METRICS", "Accuracy", "MeanAbsoluteError", "MeanMetric", "Metric", "get"]


class Accuracy(MeanMetric):
    """Share of right classes.

    The class of an output is its largest element, of a single output whether it exceeds 1/2; targets may be labels or
    one-hot, as the loss has them.
    """

    name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return where the class is right."""
        if y_pred.shape[-1] == 1:
            right: Array = (y_pred > 0.5) == (y_true.reshape(y_pred.shape) > 0.5)
            return right
        labels = y_true if y_true.ndim < y_pred.ndim else y_true.argmax(axis=-1)
        return np.asarray(y_pred.argmax(axis=-1) == labels)


class MeanAbsoluteError(MeanMetric):
    """Mean over all elements of |y_pred - y_true|."""

    name = "mae"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return the absolute errors."""
        errors: Array = np.abs(y_pred - y_true)
        return errors


# Every metric by the name that `compile` and files know.
METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in (Accuracy, MeanAbsoluteError)}
_ALIASES = {"acc": "accuracy", "mean_absolute_error": "mae"}


def get(metric: Any) -> Metric:
    """Return the metric that a name stands for, or the object itself."""
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        return METRICS[_errors.check_choice("metrics", _ALIASES.get(metric, metric), METRICS)]()
    raise _errors.bad_type("metrics", "names such as 'accuracy' or Metric objects", metric)
