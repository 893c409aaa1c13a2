"""The contract of every loss: a number, and its gradient with respect to the model's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors

if TYPE_CHECKING:
    import numpy as np

    from recurra._typing import Array, LossFunction


class Loss:
    """Base of the losses; a subclass supplies ``vjp``.

    Attributes
    ----------
    name : str
        What files call it.

    Notes
    -----
    Losses hold no state: calls from several threads are safe. Arguments come as in Keras, targets first.
    """

    name = "loss"

    def __call__(self, y_true: Array, y_pred: Array) -> float:
        """Return the mean loss.

        Parameters
        ----------
        y_true : numpy.ndarray
            Targets.
        y_pred : numpy.ndarray, shape (..., outputs)
            The model's outputs.

        Returns
        -------
        float
            The mean over all axes but the last, and over the last one where the loss is elementwise.
        """
        return self.vjp(y_true, y_pred)[0]

    def vjp(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient with respect to ``y_pred``."""
        raise NotImplementedError

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets in the form that ``vjp`` takes, for outputs of a shape and dtype.

        Targets without the last axis are taken for outputs whose last axis is 1.

        Raises
        ------
        TypeError, ValueError
            If they do not fit.
        """
        target = _errors.as_real("y", y_true, dtype)
        if shape[-1] == 1 and target.shape == shape[:-1]:
            return target.reshape(shape)
        axes = output_axes(len(shape))
        _errors.check_shape("y", target.shape, axes, shape)
        return target

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}


class FunctionLoss(Loss):
    """A user's function ``f(y_true, y_pred) -> (mean loss, gradient of y_pred)``."""

    def __init__(self, function: LossFunction) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def vjp(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return what the function returns, checked."""
        result = self.function(y_true, y_pred)
        if not isinstance(result, tuple) or len(result) != 2:
            hint = "it is called as loss(y_true, y_pred)"
            raise _errors.bad_type("loss", "a function returning (mean loss, gradient of y_pred)", result, hint)
        value, dy = result
        axes = output_axes(y_pred.ndim)
        return float(value), _errors.check_array("loss gradient", dy, y_pred.dtype, axes, y_pred.shape)

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets as an array, floats in the model's dtype; their shape is the function's own affair."""
        import numpy as np

        target = np.asarray(y_true)
        return target.astype(dtype) if target.dtype.kind == "f" and target.dtype != dtype else target


def output_axes(count: int) -> tuple[str, ...]:
    """Return the names of the axes of outputs."""
    return ("batch", *("time", "axis 2", "axis 3")[: count - 2], "outputs") if count > 1 else ("batch",)
