"""Activations as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors, activations
from recurra.layers import _pointwise
from recurra.layers.plain import PlainLayer

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback


class Activation(PlainLayer):
    """An activation on its own.

    Parameters
    ----------
    activation : str, tuple or Activation
        "softmax" over the last axis, or one of `recurra.activations`.
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
    Calls from several threads are safe. Computes what `keras.layers.Activation` computes.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Activation("relu")(np.array([[-1.0, 2.0]], np.float32)).tolist()
    [[0.0, 2.0]]
    """

    pointwise = True

    def __init__(
        self, activation: Any, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.activation = _pointwise.resolve("activation", activation)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "activation": _pointwise.config(self.activation)}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        y = _pointwise.forward(self.activation, x)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return _pointwise.backward(self.activation, y, dy) if need_dx else None

        return y, pullback


class LeakyReLU(Activation):
    """x if x > 0 else negative_slope x (Maas et al. 2013).

    Parameters
    ----------
    negative_slope : float, default 0.3
        From 0.
    dtype, name
        As in `Activation`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.LeakyReLU(0.5)(np.array([[-1.0, 2.0]], np.float32)).tolist()
    [[-0.5, 2.0]]
    """

    def __init__(
        self,
        negative_slope: float = 0.3,
        *,
        dtype: Any = "float32",
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.negative_slope = _errors.check_number("negative_slope", negative_slope, 0.0, 1e30, "a number from 0")
        super().__init__(activations.leaky_relu(self.negative_slope), dtype=dtype, name=name, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super(Activation, self).get_config(), "negative_slope": self.negative_slope}


class ELU(Activation):
    """x if x > 0 else alpha (exp x - 1) (Clevert et al. 2016).

    Parameters
    ----------
    alpha : float, default 1.0
        Finite.
    dtype, name
        As in `Activation`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.ELU()(np.array([[0.0, 2.0]], np.float32)).tolist()
    [[0.0, 2.0]]
    """

    def __init__(
        self, alpha: float = 1.0, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        self.alpha = _errors.check_number("alpha", alpha, -1e30, 1e30, "a finite number")
        super().__init__(activations.elu(self.alpha), dtype=dtype, name=name, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super(Activation, self).get_config(), "alpha": self.alpha}


class ReLU(PlainLayer):
    """max_value if x >= max_value; x if threshold < x; else negative_slope (x - threshold).

    Parameters
    ----------
    max_value : float, optional
        From 0; none by default.
    negative_slope : float, default 0.0
        From 0.
    threshold : float, default 0.0
        From 0.
    dtype, name
        As in `Activation`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    The derivative at ``threshold`` is that below it, at ``max_value`` it is 0.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.ReLU(max_value=6.0)(np.array([[-1.0, 2.0, 9.0]], np.float32)).tolist()
    [[0.0, 2.0, 6.0]]
    """

    pointwise = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        *,
        dtype: Any = "float32",
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        what = "a number from 0"
        self.max_value = None if max_value is None else _errors.check_number("max_value", max_value, 0.0, 1e30, what)
        self.negative_slope = _errors.check_number("negative_slope", negative_slope, 0.0, 1e30, what)
        self.threshold = _errors.check_number("threshold", threshold, 0.0, 1e30, what)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **own}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        above, number = x > self.threshold, x.dtype.type
        factor = np.where(above, number(1.0), number(self.negative_slope))
        below = self.negative_slope * (x - self.threshold) if self.negative_slope else number(0.0)
        y = np.where(above, x, below)
        if self.max_value is not None:
            factor[x >= self.max_value] = 0.0
            y = np.where(x >= self.max_value, number(self.max_value), y)

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            return dy * factor if need_dx else None

        return y, pullback


class Softmax(PlainLayer):
    """exp x / sum exp x over an axis.

    Parameters
    ----------
    axis : int, default -1
        Not the batch axis.
    dtype, name
        As in `Activation`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.Softmax()(np.zeros((1, 4), np.float32)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(
        self, axis: int = -1, *, dtype: Any = "float32", name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(dtype=dtype, name=name, seed=seed)
        self.axis = _errors.check_integer("axis", axis, -8, 7)
        self.pointwise = self.axis == -1

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}

    def _differentiate(self, x: Array, lengths: Array | None, training: bool, seed: int) -> tuple[Array, Pullback]:
        axis = _errors.check_axis("axis", self.axis, x.ndim)
        y = _core.softmax(np.moveaxis(x, axis, -1))

        def pullback(dy: Array, *, need_dx: bool = True) -> Array | None:
            if not need_dx:
                return None
            return np.moveaxis(_core.softmax_backward(y, np.moveaxis(dy, axis, -1)), -1, axis)

        return np.moveaxis(y, -1, axis), pullback
