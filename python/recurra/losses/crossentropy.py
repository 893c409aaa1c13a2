"""Losses of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.losses.base import Loss, output_axes

if TYPE_CHECKING:
    from recurra._typing import Array


class _Crossentropy(Loss):
    """What both forms share.

    Parameters
    ----------
    from_logits : bool
        Whether the outputs are logits rather than probabilities.
    """

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = _errors.check_flag("from_logits", from_logits)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"from_logits": self.from_logits}


class CategoricalCrossentropy(_Crossentropy):
    """Mean over samples (and steps) of -sum(y_true log p), targets being probabilities, for example one-hot.

    Parameters
    ----------
    from_logits : bool, default False
        The outputs are logits, p their softmax; else they are p.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> loss = recurra.losses.CategoricalCrossentropy()
    >>> round(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    name = "categorical_crossentropy"

    def vjp(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the loss and its gradient; see `Loss.vjp`."""
        return _core.categorical_crossentropy(y_pred, y_true, from_logits=self.from_logits)


class SparseCategoricalCrossentropy(_Crossentropy):
    """Mean over samples (and steps) of -log p[y_true], targets being the numbers of classes.

    Parameters
    ----------
    from_logits : bool, default False
        The outputs are logits, p their softmax; else they are p.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> loss = recurra.losses.SparseCategoricalCrossentropy()
    >>> round(loss(np.array([1]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    name = "sparse_categorical_crossentropy"

    def vjp(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the loss and its gradient; see `Loss.vjp`."""
        return _core.sparse_categorical_crossentropy(y_pred, y_true, from_logits=self.from_logits)

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
            bad = labels[(labels < 0) | (labels >= shape[-1])].flat[0]
            hint = f"the model has {shape[-1]} outputs"
            raise _errors.bad_value("y", f"labels from 0 to {shape[-1] - 1}", str(bad), hint)
        return np.ascontiguousarray(labels, dtype=np.int64)
