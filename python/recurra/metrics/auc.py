"""Areas under curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.metrics.accuracy import matched
from recurra.metrics.base import Metric, rows_of
from recurra.metrics.confusion import _share

if TYPE_CHECKING:
    from recurra._typing import Array


class AUC(Metric):
    """Area under the ROC or the precision-recall curve, at thresholds, as Keras has it.

    Memory and time of an update do not depend on the rows seen before. The curve is known at the thresholds alone:
    raise their number where outputs crowd together.

    Parameters
    ----------
    num_thresholds : int, default 200
        Evenly spaced over [0, 1], both ends included.
    curve : {"ROC", "PR"}, default "ROC"
        True positive over false positive rates, or precision over recall.
    summation_method : {"interpolation", "minoring", "majoring"}, default "interpolation"
        Trapezia (for "PR" the interpolation of Davis & Goadrich 2006), or the lower or higher end of each piece.
    name : str, optional
        What logs call it.
    thresholds : list of float, optional
        In place of evenly spaced ones; 0 and 1 are added.
    from_logits : bool, default False
        Outputs are logits.

    Notes
    -----
    Agrees with `keras.metrics.AUC` without ``multi_label``: several outputs are taken as so many rows.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.metrics.AUC()([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]), 4)
    0.75
    """

    name = "auc"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        *,
        thresholds: Any = None,
        from_logits: bool = False,
    ) -> None:
        self.num_thresholds = _errors.check_integer("num_thresholds", num_thresholds, 2)
        self.curve = _errors.check_choice("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "minoring", "majoring")
        self.summation_method = _errors.check_choice("summation_method", summation_method, methods)
        self.from_logits = _errors.check_flag("from_logits", from_logits)
        self.thresholds = None if thresholds is None else sorted(float(level) for level in thresholds)
        inner = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
        if self.thresholds is not None:
            expected = "numbers from 0 to 1"
            inner = np.array([_errors.check_number("thresholds", t, 0.0, 1.0, expected) for t in self.thresholds])
        self._levels = np.concatenate([[-1e-7], inner, [1.0 + 1e-7]])
        super().__init__(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("num_thresholds", "curve", "summation_method", "thresholds", "from_logits")
        return {**{name: getattr(self, name) for name in names}, **super().get_config()}

    def reset_state(self) -> None:
        """Forget all batches."""
        self._counts = np.zeros((2, len(self._levels) + 1))  # negative and positive targets between thresholds

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; see `Metric.update_state`. Labels of several classes are taken for one-hot targets."""
        y_true, y_pred, weights = rows_of(y_true, y_pred, sample_weight)
        if not len(y_pred):
            return
        target = matched(y_true, y_pred).astype(bool)
        scores = y_pred.astype(np.float64)
        if self.from_logits:
            small = np.exp(-np.abs(scores))
            scores = np.where(scores >= 0, 1.0, small) / (1.0 + small)
        if not (scores.min() >= 0.0 and scores.max() <= 1.0):
            bad = scores[~((scores >= 0.0) & (scores <= 1.0))][0]
            raise _errors.bad_value("y_pred", "numbers from 0 to 1", f"{bad}", "from_logits=True takes logits")
        w = np.broadcast_to((np.ones(len(target)) if weights is None else weights)[:, None], target.shape)
        place = np.searchsorted(self._levels, scores, side="left")
        for kind, chosen in enumerate((~target, target)):
            self._counts[kind] += np.bincount(place[chosen], w[chosen], self._counts.shape[1])

    def result(self) -> float:
        """Return the area; 0 without rows of both kinds."""
        above = np.cumsum(self._counts[:, ::-1], axis=1)[:, ::-1][:, 1:]  # of outputs above each threshold
        negative, positive = self._counts.sum(axis=1)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return float(_interpolated(above[1], above[0], positive))
        recall = _share(above[1], positive)
        if self.curve == "ROC":
            x, y = _share(above[0], negative), recall
        else:
            x, y = recall, _share(above[1], above[1] + above[0])
        ends = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:])}
        heights = ends.get(self.summation_method, np.maximum(y[:-1], y[1:]))
        return float(((x[:-1] - x[1:]) * heights).sum())


def _interpolated(tp: Array, fp: Array, positive: float) -> float:
    """Return the area under the precision-recall curve, true positives being linear in the answers between points."""
    answers = tp + fp
    dtp = tp[:-1] - tp[1:]
    slope = _share(dtp, answers[:-1] - answers[1:])
    intercept = tp[1:] - slope * answers[1:]
    both = (answers[:-1] > 0) & (answers[1:] > 0)
    ratio = np.where(both, _share(answers[:-1], answers[1:]), 1.0)
    return float(_share(slope * (dtp + intercept * np.log(ratio)), positive).sum())
