"""The contract of every loss: a number, and its gradient with respect to the model's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.losses.reduction import check_reduction, counted_rows, row_factors

if TYPE_CHECKING:
    from typing import Self

    from recurra._typing import Array, LossFunction


class Loss:
    """Base of the losses.

    A subclass supplies ``values``: the loss of each row (all axes of the outputs but the last) and its gradient. The
    base class does the rest: sample weights, lengths, and the reduction to one number.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "mean_with_sample_weight", "mean_per_sequence", None}
        How rows become one number, by default "sum_over_batch_size": their mean, each times its weight. "mean" is
        another name for it; "mean_with_sample_weight" divides by the weights instead of the number of rows;
        "mean_per_sequence" averages each sequence over its steps first. None: calls return the rows' losses.
    name : str, optional
        By default the loss's own.

    Attributes
    ----------
    name : str
        What `compile` and files call it.
    sequences : bool
        Whether targets are whole sequences (CTC, CRF) rather than one target per row.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Losses hold no state: calls from several threads are safe. Arguments come as in Keras, targets first; reductions,
    weights and masks agree with `keras.losses.Loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from recurra.losses import Loss
    >>> class FourthPower(Loss):
    ...     name = "fourth_power"
    ...     def values(self, y_true, y_pred):
    ...         error = y_pred - y_true
    ...         return (error**4).mean(axis=-1), 4.0 * error**3 / error.shape[-1]
    >>> FourthPower()(np.zeros((2, 1)), np.array([[1.0], [2.0]]))
    8.5
    """

    name: str = "loss"
    reduction: str | None = "sum_over_batch_size"
    sequences: bool = False

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        self.reduction = check_reduction(reduction)
        if name is not None:
            self.name = check_name(name)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> Any:
        """Return the loss.

        Parameters
        ----------
        y_true : array_like
            Targets, see `prepare`.
        y_pred : array_like, shape (batch, ..., outputs)
            The model's outputs.
        sample_weight : array_like, shape (batch,) or (batch, time), optional
            Factor of each sample or step. A row of weight 0 is not looked at.
        lengths : array_like of int, shape (batch,), optional
            Steps of each sample that count; later ones neither add to the loss nor are divided by.

        Returns
        -------
        float, or numpy.ndarray with ``reduction=None``
            The reduced loss; 0 where no row counts. Without a reduction one weighted loss per row.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        """
        if self.reduction is not None:
            return self.vjp(y_true, y_pred, sample_weight, lengths)[0]
        y_true, y_pred, counted = self._checked(y_true, y_pred, lengths)
        factors = row_factors(None, y_pred.shape[:-1], sample_weight, counted)
        chosen = factors != 0.0
        result = np.zeros(factors.shape, y_pred.dtype)
        if chosen.any():
            result[chosen] = self.values(y_true[chosen], y_pred[chosen])[0] * factors[chosen]
        return result

    def vjp(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to ``y_pred``; see `__call__`.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit, or the reduction is None.
        """
        self._require_reduction()
        shape = np.shape(y_pred)
        y_true, y_pred, counted = self._checked(y_true, y_pred, lengths)
        if not y_pred.size:
            return 0.0, np.zeros(shape, y_pred.dtype)
        if sample_weight is not None or (counted is not None and self.reduction == "mean_per_sequence"):
            factors = row_factors(self.reduction, y_pred.shape[:-1], sample_weight, counted)
            loss, dy = self._weighted(y_true, y_pred, factors)
        elif counted is None:
            loss, dy = self._unweighted(y_true, y_pred)
        else:
            loss, dy = 0.0, np.zeros_like(y_pred)
            if counted.any():
                loss, dy[counted] = self._unweighted(y_true[counted], y_pred[counted])
        return loss, dy.reshape(shape)

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the loss of each row, and the gradient of each row's loss with respect to that row.

        Parameters
        ----------
        y_true : numpy.ndarray
            Targets as `prepare` returns them.
        y_pred : numpy.ndarray, shape (..., outputs)
            Outputs.

        Returns
        -------
        values : numpy.ndarray, shape (...)
            The losses.
        gradient : numpy.ndarray, shape (..., outputs)
            A fresh array of the outputs' dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither values nor vjp")

    def mean(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        """Return the mean over all rows and its gradient: where a loss has a fused kernel, it is called here."""
        values, dy = self.values(y_true, y_pred)
        dy *= dy.dtype.type(1.0 / values.size)
        return float(values.mean(dtype=np.float64)), dy

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets in the form that ``values`` takes, for outputs of a shape and dtype.

        Targets without the last axis are taken for outputs whose last axis is 1. What this returns comes back
        unchanged when it is prepared again.

        Raises
        ------
        TypeError, ValueError
            If they do not fit.
        """
        target = _errors.as_real("y", y_true, dtype)
        shape = (*shape[:-1], self.target_width(shape[-1]))
        if shape[-1] == 1 and target.shape == shape[:-1]:
            return target.reshape(shape)
        if target.shape != shape:
            _errors.check_shape("y", target.shape, output_axes(len(shape)), shape)
        return target

    def target_width(self, outputs: int) -> int:
        """Return the size of the targets' last axis for so many outputs; by default the same."""
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a loss made with the arguments that `get_config` returned."""
        return cls(**config)

    def counted(self, y_true: Array, shape: tuple[int, ...], lengths: Any) -> Array | None:
        """Return the mask of the rows that count, None for all."""
        return counted_rows(lengths, shape)

    def _require_reduction(self) -> None:
        if self.reduction is None:
            hint = "without one, call the loss for the values of its rows"
            raise _errors.bad_value("reduction", "one that makes a number, for a gradient", "None", hint)

    def _checked(self, y_true: Any, y_pred: Any, lengths: Any) -> tuple[Array, Array, Array | None]:
        """Return targets, outputs as rows, and the mask of the rows that count."""
        y_pred = outputs_of(y_pred)
        y_true = self.prepare(y_true, y_pred.shape, y_pred.dtype)
        return y_true, y_pred, self.counted(y_true, y_pred.shape[:-1], lengths)

    def _unweighted(self, y_true: Array, y_pred: Array) -> tuple[float, Array]:
        loss, dy = self.mean(y_true, y_pred)
        if self.reduction == "sum":
            rows = y_pred.size // y_pred.shape[-1]
            return loss * rows, dy * dy.dtype.type(rows)
        return loss, dy

    def _weighted(self, y_true: Array, y_pred: Array, factors: Array) -> tuple[float, Array]:
        """Return the sum of the rows' losses times the factors, and its gradient; rows of factor 0 are not read."""
        chosen = factors != 0.0
        every = bool(chosen.all())
        if not chosen.any():
            return 0.0, np.zeros_like(y_pred)
        if not every:
            factors, y_true = factors[chosen], y_true[chosen]
        values, rows = self.values(y_true, y_pred if every else y_pred[chosen])
        rows *= factors[..., None].astype(rows.dtype)
        loss = float((values * factors).sum(dtype=np.float64))
        if every:
            return loss, rows
        dy = np.zeros_like(y_pred)
        dy[chosen] = rows
        return loss, dy


class ElementLoss(Loss):
    """Base of the losses that are a mean over the outputs; a subclass supplies ``elements``."""

    def elements(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return the loss of each element and its derivative, fresh arrays of the outputs' shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} defines no elements")

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return each row's loss and gradient; see `Loss.values`."""
        value, dy = self.elements(y_true, y_pred)
        dy *= dy.dtype.type(1.0 / dy.shape[-1])
        return value.mean(axis=-1), dy


class FunctionLoss(Loss):
    """A user's function ``f(y_true, y_pred) -> (loss, gradient of y_pred)``.

    The loss is a number, the mean over the rows it was given, or an array with one value per row, the gradient then
    being that of each row's own value; sample weights need the latter. With lengths the function gets the rows that
    count, as (rows, outputs).

    Parameters
    ----------
    function : callable
        The function.
    reduction, name
        See `Loss`; reductions of a function that returns a number are its own affair.
    """

    def __init__(
        self, function: LossFunction, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(reduction, name or getattr(function, "__name__", type(function).__name__))
        self.function = function

    def vjp(self, y_true: Any, y_pred: Any, sample_weight: Any = None, lengths: Any = None) -> tuple[float, Array]:
        """Return what the function returns, checked and reduced."""
        self._require_reduction()
        y_pred = np.asarray(y_pred)
        counted = counted_rows(lengths, y_pred.shape[:-1])
        if counted is None:
            weighted = sample_weight is not None
            factors = row_factors(self.reduction, y_pred.shape[:-1], sample_weight) if weighted else None
            return self._reduced(y_true, y_pred, factors)
        y_true = np.asarray(y_true)
        if y_true.shape[: counted.ndim] != counted.shape:
            raise _errors.bad_value("y", f"axes {counted.shape} first, as lengths are given", f"shape {y_true.shape}")
        dy = np.zeros_like(y_pred)
        if not counted.any():
            return 0.0, dy
        factors = row_factors(self.reduction, counted.shape, sample_weight, counted)[counted]
        plain = sample_weight is None and self.reduction != "mean_per_sequence"
        loss, dy[counted] = self._reduced(y_true[counted], y_pred[counted], None if plain else factors)
        return loss, dy

    def values(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Return what a function of rows returns, checked."""
        value, dy = self._called(y_true, y_pred)
        self._check_rows(value, y_pred)
        return value, dy.copy()

    def _check_rows(self, value: Array, y_pred: Array) -> None:
        if value.shape != y_pred.shape[:-1]:
            hint = "with sample weights, 'mean_per_sequence' or reduction=None the loss of each row is needed"
            raise _errors.bad_value("loss", f"values of shape {y_pred.shape[:-1]}", f"shape {value.shape}", hint)

    def _called(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        result = self.function(y_true, y_pred)
        if not isinstance(result, tuple) or len(result) != 2:
            hint = "it is called as loss(y_true, y_pred)"
            raise _errors.bad_type("loss", "a function returning (mean loss, gradient of y_pred)", result, hint)
        value, dy = result
        axes = output_axes(y_pred.ndim)
        return np.asarray(value), _errors.check_array("loss gradient", dy, y_pred.dtype, axes, y_pred.shape)

    def _reduced(self, y_true: Array, y_pred: Array, factors: Array | None) -> tuple[float, Array]:
        value, dy = self._called(y_true, y_pred)
        if factors is None and value.ndim == 0:
            return float(value), dy
        self._check_rows(value, y_pred)
        if factors is None:
            factors = row_factors(self.reduction, value.shape)
        chosen = factors != 0.0
        loss = float((value[chosen] * factors[chosen]).sum(dtype=np.float64))
        return loss, np.where(chosen[..., None], dy * factors[..., None].astype(dy.dtype), dy.dtype.type(0))

    def prepare(self, y_true: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets as an array, floats in the model's dtype; their shape is the function's own affair."""
        target = np.asarray(y_true)
        return target.astype(dtype) if target.dtype.kind == "f" and target.dtype != dtype else target


def outputs_of(y_pred: Any) -> Array:
    """Return outputs as a float array of at least two axes; one axis alone is that of the samples."""
    array = np.asarray(y_pred)
    if array.dtype.name not in ("float32", "float64"):
        array = _errors.as_real("y_pred", y_pred, np.dtype(np.float64))
    if array.ndim < 1:
        raise _errors.bad_value("y_pred", "an array of outputs", repr(y_pred))
    return array if array.ndim > 1 else array[:, None]


def check_name(name: object) -> str:
    """Return the name of a loss or metric."""
    if not isinstance(name, str) or not name:
        raise _errors.bad_type("name", "a text", repr(name))
    return name


def output_axes(count: int) -> tuple[str, ...]:
    """Return the names of the axes of outputs."""
    return ("batch", *("time", "axis 2", "axis 3")[: count - 2], "outputs") if count > 1 else ("batch",)
