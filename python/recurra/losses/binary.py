"""Losses of yes and no, each output by itself, and of margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.base import ElementLoss, Loss
from recurra.losses.crossentropy import check_axis, check_smoothing
from recurra.losses.regression import EPSILON

if TYPE_CHECKING:
    from recurra._typing import Array


class BinaryCrossentropy(ElementLoss):
    """-(y_true log p + (1 - y_true) log(1 - p)), mean over the outputs.

    Parameters
    ----------
    from_logits : bool, default False
        The outputs are logits, p their sigmoid; else p is them, clipped to [1e-7, 1 - 1e-7], with no gradient where
        the clip acts.
    label_smoothing : float, default 0.0
        Share a of each target that is spread evenly: y_true (1 - a) + a / 2.
    axis : int, default -1
        Of the mean; -1 is the only one.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.BinaryCrossentropy`, and from logits with `torch.nn.BCEWithLogitsLoss`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    name = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = _errors.check_flag("from_logits", from_logits)
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = check_axis(axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis}
        return {**own, **super().get_config()}

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        target = _smoothed(y_true, self.label_smoothing)
        if not self.from_logits:
            return _of_probabilities(target, y_pred)
        small = np.exp(-np.abs(y_pred))  # no overflow on either side
        value = np.maximum(y_pred, 0.0) - y_pred * target + np.log1p(small)
        return value, np.where(y_pred >= 0.0, 1.0, small) / (1.0 + small) - target


class BinaryFocalCrossentropy(ElementLoss):
    """Binary cross-entropy with easy examples weighed down (Lin et al. 2017), mean over the outputs.

    (1 - q)^gamma times the binary cross-entropy, with q = y_true p + (1 - y_true) (1 - p).

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Multiply by alpha for class 1, by 1 - alpha for class 0.
    alpha : float, default 0.25
        See above.
    gamma : float, default 2.0
        How much easy examples are weighed down.
    from_logits : bool, default False
        The outputs are logits, p their sigmoid; else p is them. Logarithms clip p to [1e-7, 1 - 1e-7].
    label_smoothing : float, default 0.0
        Share a of each target that is spread evenly: y_true (1 - a) + a / 2.
    axis : int, default -1
        Of the mean; -1 is the only one.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.BinaryFocalCrossentropy`.

    Examples
    --------
    >>> import recurra
    >>> round(recurra.losses.BinaryFocalCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.1733
    """

    name = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.apply_class_balancing = _errors.check_flag("apply_class_balancing", apply_class_balancing)
        self.alpha = _errors.check_number("alpha", alpha, 0.0, 1.0, "a number from 0 to 1")
        self.gamma = _errors.check_number("gamma", gamma, 0.0, 1e6, "a number from 0")
        self.from_logits = _errors.check_flag("from_logits", from_logits)
        self.label_smoothing = check_smoothing(label_smoothing)
        self.axis = check_axis(axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis")
        return {**{name: getattr(self, name) for name in names}, **super().get_config()}

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        target, p = _smoothed(y_true, self.label_smoothing), y_pred
        if self.from_logits:
            small = np.exp(-np.abs(y_pred))
            p = np.where(y_pred >= 0.0, 1.0, small) / (1.0 + small)
        entropy, slope = _of_probabilities(target, p)
        missing = np.maximum(1.0 - (target * p + (1.0 - target) * (1.0 - p)), EPSILON**2)
        factor = missing**self.gamma
        slope *= factor
        if self.gamma:
            slope += self.gamma * missing ** (self.gamma - 1.0) * (1.0 - 2.0 * target) * entropy
        value = factor * entropy
        if self.apply_class_balancing:
            weight = target * self.alpha + (1.0 - target) * (1.0 - self.alpha)
            value, slope = value * weight, slope * weight
        return value, slope * p * (1.0 - p) if self.from_logits else slope


class Hinge(ElementLoss):
    """max(1 - y_true y_pred, 0), mean over the outputs; targets are -1 or 1, and where all are 0 or 1, 0 means -1.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.Hinge()([[-1.0], [1.0]], [[0.5], [0.5]])
    1.0
    """

    name = "hinge"

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets of -1 and 1; see `Loss.prepare`."""
        target = super().prepare(y_true, shape, dtype)
        binary = (target == 0.0) | (target == 1.0) | np.isnan(target)  # NaN: padding
        return 2.0 * target - 1.0 if bool(binary.all()) else target

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        margin = 1.0 - y_true * y_pred
        return np.maximum(margin, 0.0), np.where(margin > 0.0, -y_true, y_pred.dtype.type(0.0))


class SquaredHinge(Hinge):
    """max(1 - y_true y_pred, 0)^2, mean over the outputs; targets as for `Hinge`.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.SquaredHinge()([[-1.0], [1.0]], [[0.5], [0.5]])
    1.25
    """

    name = "squared_hinge"

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each element's loss and derivative."""
        margin = np.maximum(1.0 - y_true * y_pred, 0.0)
        return np.square(margin), -2.0 * margin * y_true


class CategoricalHinge(Loss):
    """max(1 + max((1 - y_true) y_pred) - sum(y_true y_pred), 0) over the classes, targets being one-hot.

    Parameters
    ----------
    reduction, name
        See `recurra.losses.Loss`.

    Examples
    --------
    >>> import recurra
    >>> recurra.losses.CategoricalHinge()([[0.0, 1.0]], [[0.75, 0.25]])
    1.5
    """

    name = "categorical_hinge"

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        others = (1.0 - y_true) * y_pred
        best = others.argmax(axis=-1)[..., None]
        value = 1.0 + np.take_along_axis(others, best, -1)[..., 0] - (y_true * y_pred).sum(axis=-1)
        dy = -y_true
        away = np.take_along_axis(dy, best, -1) + 1.0 - np.take_along_axis(y_true, best, -1)
        np.put_along_axis(dy, best, away, -1)
        return np.maximum(value, 0.0), np.where(value[..., None] > 0.0, dy, y_pred.dtype.type(0.0))


def _smoothed(y_true: Array, smoothing: float) -> Array:
    """Return targets with a share of them spread over yes and no."""
    return y_true * (1.0 - smoothing) + 0.5 * smoothing if smoothing else y_true


def _of_probabilities(target: Array, p: Array) -> tuple[Array, Array]:
    """Return the binary cross-entropy of probabilities, clipped, and its derivative."""
    kind = p.dtype.type
    clipped = np.clip(p, kind(EPSILON), kind(1.0) - kind(EPSILON))
    value = -(target * np.log(clipped) + (1.0 - target) * np.log1p(-clipped))
    return value, np.where(clipped == p, (clipped - target) / (clipped * (1.0 - clipped)), kind(0.0))
