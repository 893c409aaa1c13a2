"""Errors of numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.metrics.accuracy import matched
from recurra.metrics.base import MeanMetric, Metric, rows_of

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


class MeanSquaredError(MeanMetric):
    """Mean over rows and outputs of (y_pred - y_true)^2.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.MeanSquaredError()([0.0, 1.0], [0.5, 1.0])
    0.125
    """

    name = "mean_squared_error"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return each row's mean squared error."""
        errors: Array = np.square(y_pred - y_true.reshape(y_pred.shape)).mean(axis=-1)
        return errors


class RootMeanSquaredError(MeanSquaredError):
    """Square root of the mean over rows and outputs of (y_pred - y_true)^2.

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.RootMeanSquaredError()([0.0, 1.0], [2.0, 3.0])
    2.0
    """

    name = "root_mean_squared_error"

    def result(self) -> float:
        """Return the root; NaN before the first batch."""
        mean = super().result()
        return math.sqrt(mean) if mean >= 0 else math.nan


class MeanAbsolutePercentageError(MeanMetric):
    """Mean over rows and outputs of 100 |y_pred - y_true| / max(|y_true|, 1e-7).

    Parameters
    ----------
    name : str, optional
        What logs call it.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.MeanAbsolutePercentageError()([2.0, 4.0], [1.0, 4.0])
    25.0
    """

    name = "mean_absolute_percentage_error"

    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return each row's mean error in percent."""
        target = y_true.reshape(y_pred.shape)
        errors: Array = (100.0 * np.abs(y_pred - target) / np.maximum(np.abs(target), 1e-7)).mean(axis=-1)
        return errors


class R2Score(Metric):
    """Share of the variance that is explained, 1 - sum (y_true - y_pred)^2 / sum (y_true - mean y_true)^2.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}, default "uniform_average"
        How the scores of several outputs become one: their mean, or weighted by the variances of the targets; None:
        ``result`` is an array.
    num_regressors : int, default 0
        Number p of independent variables, for the adjusted score 1 - (1 - R2) (n - 1) / (n - p - 1).
    name : str, optional
        What logs call it.

    Notes
    -----
    Agrees with `keras.metrics.R2Score`; a target without variance scores 0.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 4)
    0.5714
    """

    name = "r2_score"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str | None = None
    ) -> None:
        choices = ("uniform_average", "variance_weighted_average")
        if class_aggregation is not None:
            _errors.check_choice("class_aggregation", class_aggregation, choices)
        self.class_aggregation = class_aggregation
        self.num_regressors = _errors.check_integer("num_regressors", num_regressors, 0)
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**own, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.rows = 0
        self.weight = 0.0
        self.mean, self.spread, self.error = np.zeros(1), np.zeros(1), np.zeros(1)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        if not len(y_pred):
            return
        target = matched(y_true, y_pred).astype(np.float64)
        w = (np.ones(len(target)) if weights is None else weights)[:, None]
        # Means and spreads of batches are joined as in Chan et al. 1983: large means do not cancel.
        weight = float(w.sum())
        mean = (w * target).sum(axis=0) / weight if weight else target.mean(axis=0)
        total = self.weight + weight
        apart = mean - self.mean
        self.spread = (
            self.spread + (w * (target - mean) ** 2).sum(axis=0) + apart**2 * self.weight * weight / (total or 1)
        )
        self.mean = self.mean + apart * weight / (total or 1)
        self.error = self.error + (w * (target - y_pred) ** 2).sum(axis=0)
        self.weight, self.rows = total, self.rows + len(target)

    def result(self) -> Any:
        """Return the score; NaN before the first batch."""
        if not self.rows:
            return math.nan
        some = self.spread > 0
        scores = np.where(some, 1.0 - self.error / np.where(some, self.spread, 1.0), 0.0)
        if self.class_aggregation is None:
            return scores
        if self.class_aggregation == "uniform_average":
            score = float(scores.mean())
        else:
            score = float((scores * self.spread).sum() / (self.spread.sum() or 1.0))
        left = self.rows - self.num_regressors - 1
        if self.num_regressors and left > 0:
            return 1.0 - (1.0 - score) * (self.rows - 1) / left
        return score
