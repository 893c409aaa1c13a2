"""Counts of right and wrong answers of each kind, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.reduction import row_weights
from recurra.metrics.accuracy import matched
from recurra.metrics.base import Metric, rows_of

if TYPE_CHECKING:
    from recurra._typing import Array


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    num_classes: int | None = None,
    sample_weight: Any = None,
    normalize: str | None = None,
) -> Array:
    """Return how often each class was taken for each.

    Parameters
    ----------
    y_true, y_pred : array_like of int
        Right and predicted labels, of one shape; for outputs take ``argmax(axis=-1)`` first.
    num_classes : int, optional
        By default the largest label and one.
    sample_weight : array_like, optional
        Weight of each label, in the labels' shape.
    normalize : {"true", "pred", "all"}, optional
        Divide by the sums of rows, of columns, or by that of everything; 0 where there is nothing.

    Returns
    -------
    numpy.ndarray, shape (num_classes, num_classes)
        Element (i, j): labels of class i taken for class j. int64, or float64 with weights or normalized.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.

    Notes
    -----
    Agrees with `sklearn.metrics.confusion_matrix` of the labels 0 to num_classes - 1.

    Examples
    --------
    >>> import recurra
    >>> recurra.metrics.confusion_matrix([0, 1, 2, 2], [0, 2, 2, 2])
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 0, 2]])
    """
    true, pred = (_labels(name, labels) for name, labels in (("y_true", y_true), ("y_pred", y_pred)))
    if true.shape != pred.shape:
        raise _errors.bad_value("y_pred", f"shape {true.shape}, as y_true has", f"shape {pred.shape}")
    most = max(int(true.max(initial=-1)), int(pred.max(initial=-1)))
    count = most + 1 if num_classes is None else _errors.check_integer("num_classes", num_classes, 1)
    for name, labels in (("y_true", true), ("y_pred", pred)):
        if labels.size and not (labels.min() >= 0 and labels.max() < count):
            bad = labels[(labels < 0) | (labels >= count)].flat[0]
            raise _errors.bad_value(name, f"labels from 0 to {count - 1}", str(bad))
    weights = None
    if sample_weight is not None:
        weights = np.broadcast_to(row_weights(sample_weight, true.shape), true.shape).reshape(-1)
    cells = true.reshape(-1).astype(np.int64) * count + pred.reshape(-1)
    matrix: Array = np.bincount(cells, weights, count * count).reshape(count, count)
    if normalize is None:
        return matrix
    axes = {"true": 1, "pred": 0, "all": None}
    sums = matrix.sum(axis=axes[_errors.check_choice("normalize", normalize, axes)], keepdims=True)
    shares: Array = np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums != 0)
    return shares


def _labels(name: str, labels: Any) -> Array:
    array = np.asarray(labels)
    if array.dtype.kind not in "iub" and array.size:
        raise _errors.bad_type(name, "integer labels", f"an array of {array.dtype}", "for outputs take argmax(axis=-1)")
    return array.astype(np.int64)


class _Thresholded(Metric):
    """What Precision and Recall share: counts of answers above thresholds."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        self.thresholds = thresholds
        self.top_k = None if top_k is None else _errors.check_integer("top_k", top_k, 1)
        self.class_id = None if class_id is None else _errors.check_integer("class_id", class_id, 0)
        default = 0.5 if top_k is None else -np.inf
        given = [default] if thresholds is None else np.atleast_1d(np.asarray(thresholds, np.float64)).tolist()
        self._levels = np.array(given)
        if thresholds is not None:
            for level in given:
                _errors.check_number("thresholds", level, 0.0, 1.0, "numbers from 0 to 1")
            self.thresholds = given if np.ndim(thresholds) else given[0]
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**own, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        count = len(self._levels)
        self.true_positives, self.false_positives = np.zeros(count), np.zeros(count)
        self.positives = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`. Labels of several classes are taken for one-hot targets."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        if not len(y_pred):
            return
        target = matched(y_true, y_pred).astype(bool)
        if self.top_k is not None:
            rank = np.argsort(np.argsort(-y_pred, axis=-1, kind="stable"), axis=-1, kind="stable")
            y_pred = np.where(rank < self.top_k, y_pred, -np.inf)
        if self.class_id is not None:
            if self.class_id >= y_pred.shape[-1]:
                raise _errors.bad_value("class_id", f"a class from 0 to {y_pred.shape[-1] - 1}", str(self.class_id))
            place = slice(self.class_id, self.class_id + 1)
            target, y_pred = target[:, place], y_pred[:, place]
        w = np.broadcast_to((np.ones(len(target)) if weights is None else weights)[:, None], target.shape)
        self.positives += float(w[target].sum())
        for index, level in enumerate(self._levels):
            above = y_pred > level
            self.true_positives[index] += w[above & target].sum()
            self.false_positives[index] += w[above & ~target].sum()

    def _shown(self, shares: Array) -> Any:
        return float(shares[0]) if len(shares) == 1 else shares


class Precision(_Thresholded):
    """Share of positive answers that are right.

    Parameters
    ----------
    thresholds : float or list of float, optional
        Outputs above mean yes; by default 0.5. A list: ``result`` is an array.
    top_k : int, optional
        Only the k largest outputs of a row can mean yes, by default whatever they are.
    class_id : int, optional
        Look at this output alone.
    name : str, optional
        What logs call it.

    Notes
    -----
    Agrees with `keras.metrics.Precision`; 0 without positive answers.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "precision"

    def result(self) -> Any:
        """Return the share, or one for each threshold."""
        return self._shown(_share(self.true_positives, self.true_positives + self.false_positives))


class Recall(_Thresholded):
    """Share of positive targets that are found.

    Parameters
    ----------
    thresholds, top_k, class_id, name
        See `Precision`.

    Notes
    -----
    Agrees with `keras.metrics.Recall`; 0 without positive targets.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    name = "recall"

    def result(self) -> Any:
        """Return the share, or one for each threshold."""
        return self._shown(_share(self.true_positives, np.full(len(self._levels), self.positives)))


class F1Score(Metric):
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), of each class.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}, optional
        How classes become one number: of their summed counts, their mean, or weighted by their targets. None, the
        default as in Keras: ``result`` is an array, a number only where there is one output; logs need a number.
    threshold : float, optional
        Outputs above mean yes; by default the largest output of a row does.
    name : str, optional
        What logs call it.

    Notes
    -----
    Agrees with `keras.metrics.F1Score`; 0 for a class that neither occurs nor is answered.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.F1Score("macro")([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), 4)
    0.6667
    """

    name = "f1_score"

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = None) -> None:
        if average is not None:
            _errors.check_choice("average", average, ("micro", "macro", "weighted"))
        self.average = average
        expected = "a number above 0, at most 1"
        self.threshold = (
            None if threshold is None else _errors.check_number("threshold", threshold, 1e-300, 1.0, expected)
        )
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"average": self.average, "threshold": self.threshold, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self.true_positives, self.answers, self.targets = np.zeros(1), np.zeros(1), np.zeros(1)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`. Labels of several classes are taken for one-hot targets."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        if not len(y_pred):
            return
        target = matched(y_true, y_pred).astype(np.float64)
        if self.threshold is None:  # as in Keras, an output of 0 never means yes
            answers = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            answers = y_pred > self.threshold
        w = (np.ones(len(target)) if weights is None else weights)[:, None]
        self.true_positives = self.true_positives + (w * target * answers).sum(axis=0)
        self.answers = self.answers + (w * answers).sum(axis=0)
        self.targets = self.targets + (w * target).sum(axis=0)

    def result(self) -> Any:
        """Return the score, or one for each class."""
        right, total = self.true_positives, self.answers + self.targets
        if self.average == "micro":
            return float(_share(2.0 * right.sum(), total.sum()))
        scores = _share(2.0 * right, total)
        if self.average == "macro":
            return float(scores.mean())
        if self.average == "weighted":
            return float((scores * _share(self.targets, self.targets.sum())).sum())
        return float(scores[0]) if len(scores) == 1 else scores


def _share(part: Any, whole: Any) -> Array:
    """Return part / whole, 0 where whole is 0."""
    whole = np.broadcast_to(np.asarray(whole, np.float64), np.shape(part))
    shares: Array = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0.0)
    return shares
