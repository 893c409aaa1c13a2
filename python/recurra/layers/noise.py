"""Noise in training: dropped features, and normal factors or terms. Draws are pure functions of a call's seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recurra._typing import Array, Pullback
    from recurra.streaming import Stepper


class SpatialDropout1D(PlainLayer):
    """Dropout of whole features: one mask for all steps of a sample (Tompson et al. 2015).

    Parameters
    ----------
    rate : float
        From 0 to below 1.
    seed : int, optional
        Of the masks.
    dtype : {"float32", "float64"}, default "float32"
        Of inputs and outputs.
    name : str, optional
        Unique within a model.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Kept features are scaled by 1 / (1 - rate). Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> y = recurra.SpatialDropout1D(0.5, seed=1)(np.ones((1, 4, 9), np.float32), training=True)
    >>> bool((y == y[:, :1]).all()), sorted(set(y.ravel().tolist()))
    (True, [0.0, 2.0])
    """

    pointwise = True
    input_axes = ("batch", "time", "features")

    def __init__(
        self, rate: float, seed: int | None = None, *, dtype: Any = "float32", name: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.rate = _errors.check_rate("rate", rate)
        self.random = self.rate > 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        if not (training and self.random) or not x.size:
            return x, _unchanged
        ones = np.ones((x.shape[0], x.shape[-1]), x.dtype)
        return _multiplied(x, _core.dropout(ones, self.rate, seed, 0)[:, None, :])

    def _steppers(self, batch_size: int) -> Iterable[Stepper]:
        from recurra.layers.dropout import Dropout

        return Dropout(0.0, dtype=self.dtype.name)._steppers(batch_size)  # the same for inference, without a time axis


class GaussianNoise(PlainLayer):
    """In training, adds a normal draw to each value (Bishop 1995).

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, from 0.
    seed, dtype, name
        As in `SpatialDropout1D`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> y = recurra.GaussianNoise(0.5, seed=1)(np.zeros((100, 100), np.float32), training=True)
    >>> round(float(y.std()), 2)
    0.5
    """

    pointwise = True

    def __init__(
        self, stddev: float, seed: int | None = None, *, dtype: Any = "float32", name: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.stddev = _errors.check_number("stddev", stddev, 0.0, 1e30, "a number from 0")
        self.random = self.stddev > 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "stddev": self.stddev}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        if not (training and self.random):
            return x, _unchanged
        return x + _normal(x, seed, self.stddev), _unchanged


class GaussianDropout(PlainLayer):
    """In training, multiplies each value by a normal draw with mean 1 and variance rate / (1 - rate).

    Parameters
    ----------
    rate : float
        From 0 to below 1 (Srivastava et al. 2014, section 10).
    seed, dtype, name
        As in `SpatialDropout1D`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, as ``argument: expected X, got Y``.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> y = recurra.GaussianDropout(0.5, seed=1)(np.ones((100, 100), np.float32), training=True)
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 1.0)
    """

    pointwise = True

    def __init__(
        self, rate: float, seed: int | None = None, *, dtype: Any = "float32", name: str | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.rate = _errors.check_rate("rate", rate)
        self.random = self.rate > 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        if not (training and self.random):
            return x, _unchanged
        return _multiplied(x, 1.0 + _normal(x, seed, math.sqrt(self.rate / (1.0 - self.rate))))


def _normal(x: Array, seed: int, deviation: float) -> Array:
    draws = _core.random_normal(seed, 0, x.size).reshape(x.shape)
    return (deviation * draws).astype(x.dtype)


def _unchanged(dy: Array, *, need_dx: bool = True) -> Array:
    return dy


def _multiplied(x: Array, factor: Array) -> tuple[Array, Pullback]:
    def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy * factor if need_dx else None

    return x * factor, pullback
