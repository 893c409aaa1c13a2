"""Batch normalization, which leaves out the padding of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.normalization import AffineNormalization

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback, Shape


class BatchNormalization(AffineNormalization):
    """Mean 0 and variance 1 for each feature of a batch (Ioffe & Szegedy 2015).

    In training with the statistics of the batch, over samples and steps; else with their moving averages::

        y = gamma (x - mean) / sqrt(variance + epsilon) + beta
        moving = momentum moving + (1 - momentum) statistic

    Parameters
    ----------
    axis : int, default -1
        Must be the last one.
    momentum : float, default 0.99
        Of the moving averages, from 0 to 1.
    epsilon : float, default 0.001
        Added to the variance.
    center, scale : bool, default True
        Have beta, have gamma.
    beta_initializer, gamma_initializer : str or callable, default "zeros" and "ones"
        See `recurra.initializers`.
    moving_mean_initializer, moving_variance_initializer : str or callable, default "zeros" and "ones"
        Likewise.
    beta_regularizer, gamma_regularizer : str or object, optional
        See `recurra.regularizers`.
    beta_constraint, gamma_constraint : str or object, optional
        See `recurra.constraints`.
    seed, dtype, name
        As in `Dense`.

    Attributes
    ----------
    parameters, gradients : dict of str to numpy.ndarray
        ``gamma``, ``beta``, ``moving_mean`` and ``moving_variance`` (features); no optimizer moves the last two.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    With lengths, steps beyond a sample's length do not count in the statistics. A frozen layer (``trainable = False``)
    uses the moving averages in training too. The variance is that of the batch, divided by its count (torch moves its
    average by the one divided by count - 1). The averages move in a training pullback, so a call changes nothing, and
    calls from several threads are safe. Computes what `keras.layers.BatchNormalization` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer, x = recurra.BatchNormalization(), np.array([[1.0], [3.0]], np.float32)
    >>> layer(x, training=True).round(2).tolist(), layer(x).round(2).tolist()
    ([[-1.0], [1.0]], [[1.0], [3.0]])
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        seed: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(locals())
        self.momentum = _errors.check_number("momentum", momentum, 0.0, 1.0, "a number from 0 to 1")

    def build(self, input_shape: Shape) -> None:
        """Declare the parameters for inputs (batch, ..., features); see `Layer.build`."""
        super().build(input_shape)
        for name in ("moving_mean", "moving_variance"):
            self.add_weight(name, (self._width,), self.weight_options[f"{name}_initializer"], trainable=False)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        counted = _counted(x, lengths)
        count = x.size // x.shape[-1] if counted is None else int(counted.sum())
        if not (training and self.trainable and count):
            return self._with_moving(x)
        axes = tuple(range(x.ndim - 1))
        share = 1.0 / count
        kept = x if counted is None else np.where(counted, x, x.dtype.type(0.0))
        mean = (kept.sum(axis=axes, dtype=np.float64) * share).astype(x.dtype)
        centred = x - mean
        kept = centred if counted is None else np.where(counted, centred, x.dtype.type(0.0))
        variance = (np.square(kept).sum(axis=axes, dtype=np.float64) * share).astype(x.dtype)
        inverse = 1.0 / np.sqrt(variance + self.epsilon)
        unit = centred * inverse

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            self._average("moving_mean", mean)
            self._average("moving_variance", variance)
            dunit = self._affine_backward(unit, dy)
            if not need_dx:
                return None
            through = share * (dunit.sum(axis=axes) + unit * (dunit * unit).sum(axis=axes))
            dx: Array = (dunit - (through if counted is None else counted * through)) * inverse
            return dx

        return self._affine(unit), pullback

    def _with_moving(self, x: Array) -> tuple[Array, Pullback]:
        weights = self._views[0]
        inverse = 1.0 / np.sqrt(weights["moving_variance"] + self.epsilon)
        unit = (x - weights["moving_mean"]) * inverse

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            dunit = self._affine_backward(unit, dy)
            return dunit * inverse if need_dx else None

        return self._affine(unit), pullback

    def _average(self, name: str, statistic: Array) -> None:
        moving = self._views[0][name]
        moving[...] = self.momentum * moving + (1.0 - self.momentum) * statistic


def _counted(x: Array, lengths: Array | None) -> Array | None:
    """Return which steps count, with an axis for each of x's, or None for all."""
    if lengths is None or x.ndim < 3:
        return None
    steps: Array = np.arange(x.shape[1]) < lengths[:, None]
    return steps.reshape(*steps.shape, *(1,) * (x.ndim - 2))
