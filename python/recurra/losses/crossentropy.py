"""Losses of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.losses.base import Loss, output_axes
from recurra.losses.reduction import counted_rows

if TYPE_CHECKING:
    from recurra._typing import Array


def check_axis(axis: object) -> int:
    """Return the axis of the classes, which is the last one."""
    if axis != -1 or isinstance(axis, bool):
        raise _errors.bad_value("axis", "-1, as the classes come last", repr(axis))
    return -1


def check_smoothing(label_smoothing: object) -> float:
    """Return the share of a target that is spread evenly."""
    return _errors.check_number("label_smoothing", label_smoothing, 0.0, 1.0, "a number from 0 to 1")


class CategoricalCrossentropy(Loss):
    """-sum(y_true log p) over the classes, targets being probabilities, for example one-hot.

    Parameters
    ----------
    from_logits : bool, default False
        The outputs are logits, p their softmax; else p is them, divided by their sum and clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float, default 0.0
        Share a of each target that is spread over its K classes: y_true (1 - a) + a / K (Szegedy et al. 2016).
    axis : int, default -1
        Of the classes; -1 is the only one.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.CategoricalCrossentropy`.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> loss = recurra.losses.CategoricalCrossentropy()
    >>> round(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    name = "categorical_crossentropy"

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

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        target = self._smoothed(y_true)
        return _core.categorical_crossentropy(y_pred, target, from_logits=self.from_logits, by_row=True)

    def mean(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        return _core.categorical_crossentropy(y_pred, self._smoothed(y_true), from_logits=self.from_logits)

    def _smoothed(self, y_true: Array) -> Array:
        if not self.label_smoothing:
            return y_true
        target: Array = y_true * y_true.dtype.type(1.0 - self.label_smoothing)
        target += y_true.dtype.type(self.label_smoothing / y_true.shape[-1])
        return target


class SparseCategoricalCrossentropy(Loss):
    """-log p[y_true], targets being the numbers of classes.

    Parameters
    ----------
    from_logits : bool, default False
        The outputs are logits, p their softmax; else p is them, divided by their sum and clipped to [1e-7, 1 - 1e-7].
    ignore_class : int, optional
        A label whose rows do not count, for example -1 for padding; any integer.
    axis : int, default -1
        Of the classes; -1 is the only one.
    reduction, name
        See `recurra.losses.Loss`.

    Notes
    -----
    Agrees with `keras.losses.SparseCategoricalCrossentropy`; ``ignore_class`` is PyTorch's ``ignore_index``.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> loss = recurra.losses.SparseCategoricalCrossentropy()
    >>> round(loss(np.array([1]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    name = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.from_logits = _errors.check_flag("from_logits", from_logits)
        self.ignore_class = (
            None if ignore_class is None else _errors.check_integer("ignore_class", ignore_class, -(2**31))
        )
        self.axis = check_axis(axis)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"from_logits": self.from_logits, "ignore_class": self.ignore_class, "axis": self.axis}
        return {**own, **super().get_config()}

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        return _core.sparse_categorical_crossentropy(y_pred, y_true, from_logits=self.from_logits, by_row=True)

    def mean(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient."""
        return _core.sparse_categorical_crossentropy(y_pred, y_true, from_logits=self.from_logits)

    def counted(self, y_true: Array, shape: tuple[int, ...], lengths: Any) -> Array | None:
        """Return the mask of the rows that count: within the lengths, and of no ignored class."""
        counted = counted_rows(lengths, shape)
        if self.ignore_class is None:
            return counted
        kept: Array = y_true != self.ignore_class
        return kept if counted is None else kept & counted

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return labels as int64 in the outputs' shape without its last axis; see `Loss.prepare`."""
        labels = np.asarray(y_true)
        if labels.dtype.kind not in "iu" and labels.size:
            hint = "cast them, or use loss='categorical_crossentropy' for one-hot targets"
            raise _errors.bad_type("y", "integer labels", labels.dtype.name, hint)
        if labels.shape == (*shape[:-1], 1):
            labels = labels[..., 0]
        _errors.check_shape("y", labels.shape, output_axes(len(shape))[:-1], shape[:-1])
        if labels.size and not (labels.min() >= 0 and labels.max() < shape[-1]):
            wrong = (labels < 0) | (labels >= shape[-1])
            if self.ignore_class is not None:
                wrong &= labels != self.ignore_class
            if wrong.any():
                hint = f"the model has {shape[-1]} outputs; ignore_class names a label that does not count"
                raise _errors.bad_value("y", f"labels from 0 to {shape[-1] - 1}", str(labels[wrong].flat[0]), hint)
        return np.ascontiguousarray(labels, dtype=np.int64)
