"""Constraints on weights, applied after each step of the optimizer: names and classes as in Keras.

Wherever a layer takes a constraint it accepts a name from ``CONSTRAINTS``, an object of a class here, or one of your
own that is called with the weight and returns it projected.

A norm runs over ``axis`` of the weight as it is kept here, (outputs, inputs): the default -1 makes it that of the
incoming weights of one unit. Keras keeps kernels as (inputs, outputs), so its default ``axis=0`` is our -1. In an
embedding's table (input_dim, output_dim), -1 is each row's norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _objects

if TYPE_CHECKING:
    from recurra._typing import Array

_EPSILON = 1e-7  # Keras's, in every division by a norm


class Constraint:
    """Base of all constraints: a subclass supplies ``__call__`` and, if it has arguments, ``get_config``.

    Examples
    --------
    A constraint of one's own:

    >>> import numpy as np, recurra
    >>> class Clipped(recurra.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return np.clip(w, -1.0, 1.0)
    >>> Clipped()(np.array([3.0, -0.5])).tolist()
    [1.0, -0.5]
    """

    def __call__(self, w: Array) -> Array:
        """Return the weight as the constraint allows it."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}


class MaxNorm(Constraint):
    """Norms of at most ``max_value`` (Srivastava et al. 2014): w * min(|w|, max_value) / (|w| + 1e-7).

    Parameters
    ----------
    max_value : float, default 2
        The largest norm.
    axis : int, default -1
        Over which the norm runs: -1 are the incoming weights of a unit (Keras's kernel has these in its axis 0).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.constraints.MaxNorm(1.0)(np.array([[3.0, 4.0], [0.3, 0.4]])).round(4).tolist()
    [[0.6, 0.8], [0.3, 0.4]]
    """

    def __init__(self, max_value: float = 2, axis: int = -1) -> None:
        self.max_value, self.axis = _bound("max_value", max_value), _axis(axis)

    def __call__(self, w: Array) -> Array:
        """Return the weight with its norms cut."""
        norms = _norms(w, self.axis)
        return _scaled(w, np.minimum(norms, self.max_value), norms)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms between two bounds: w * (rate clip(|w|, min_value, max_value) + (1 - rate) |w|) / (|w| + 1e-7).

    Parameters
    ----------
    min_value, max_value : float, default 0.0 and 1.0
        The bounds.
    rate : float, default 1.0
        How far a step goes toward them, from 0 to 1.
    axis : int, default -1
        As in `MaxNorm`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.constraints.MinMaxNorm(1.0, 2.0)(np.array([[3.0, 4.0], [0.3, 0.4]])).round(4).tolist()
    [[1.2, 1.6], [0.6, 0.8]]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = -1) -> None:
        self.min_value, self.max_value = _bound("min_value", min_value), _bound("max_value", max_value)
        if self.min_value > self.max_value:
            raise _errors.bad_value("max_value", f"at least min_value = {self.min_value}", repr(max_value))
        self.rate = _errors.check_number("rate", rate, 0.0, 1.0, "a rate from 0 to 1")
        self.axis = _axis(axis)

    def __call__(self, w: Array) -> Array:
        """Return the weight with its norms moved toward the bounds."""
        norms = _norms(w, self.axis)
        bounded = np.clip(norms, self.min_value, self.max_value)
        return _scaled(w, self.rate * bounded + (1.0 - self.rate) * norms, norms)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class UnitNorm(Constraint):
    """Norms of 1: w / (|w| + 1e-7).

    Parameters
    ----------
    axis : int, default -1
        As in `MaxNorm`.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.constraints.UnitNorm()(np.array([[3.0, 4.0]])).round(4).tolist()
    [[0.6, 0.8]]
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = _axis(axis)

    def __call__(self, w: Array) -> Array:
        """Return the weight with norms of 1."""
        norms = _norms(w, self.axis)
        return _scaled(w, np.ones_like(norms), norms)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"axis": self.axis}


class NonNeg(Constraint):
    """No weight below 0: max(w, 0).

    Notes
    -----
    Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.constraints.NonNeg()(np.array([1.5, -2.0])).tolist()
    [1.5, 0.0]
    """

    def __call__(self, w: Array) -> Array:
        """Return the weight without what is below 0."""
        clipped: Array = np.maximum(w, w.dtype.type(0))
        return clipped


# Keras's other spelling.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

CONSTRAINTS: dict[str, type[Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def check(argument: str, value: Any) -> Any:
    """Return the constraint that a name, a description or an object means; None stays None."""
    return _objects.check(argument, value, CONSTRAINTS, "__call__")


def serialize(value: Any) -> Any:
    """Return an object of a class here by class and arguments; one of your own as it is."""
    return _objects.serialize(value, CONSTRAINTS.values())


def _bound(argument: str, value: object) -> float:
    return _errors.check_number(argument, value, 0.0, 1e30, "a number from 0")


def _axis(value: object) -> int:
    return _errors.check_integer("axis", value, -8, 7)


def _norms(w: Array, axis: int) -> Array:
    if not -w.ndim <= axis < w.ndim:
        raise _errors.bad_value("axis", f"an axis of a weight of shape {w.shape}", f"{axis}")
    norms: Array = np.sqrt(np.square(w).sum(axis=axis, keepdims=True))
    return norms


def _scaled(w: Array, desired: Array, norms: Array) -> Array:
    scaled: Array = (w * (desired / (norms + w.dtype.type(_EPSILON)))).astype(w.dtype, copy=False)
    return scaled
