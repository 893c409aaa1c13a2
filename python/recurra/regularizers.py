"""Penalties on weights, added to the loss in training: names and classes as in Keras.

Wherever a layer takes a regularizer it accepts a name from ``REGULARIZERS``, an object of a class here, or one of your
own with ``vjp``. A penalty is counted once per batch, whatever the batch's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, _objects

if TYPE_CHECKING:
    from recurra._typing import Array


class Regularizer:
    """Base of all regularizers: a subclass supplies `vjp` and `get_config`.

    Examples
    --------
    A penalty of one's own, on weights that differ from 1:

    >>> import numpy as np, recurra
    >>> class NearOne(recurra.regularizers.Regularizer):
    ...     def vjp(self, w):
    ...         return float(((w - 1) ** 2).sum()), 2 * (w - 1)
    ...     def get_config(self):
    ...         return {}
    >>> NearOne()(np.zeros((2, 3)))
    6.0
    """

    def vjp(self, w: Array) -> tuple[float, Array]:
        """Return the penalty of a weight and its gradient, in the weight's shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} defines no vjp")

    def __call__(self, w: Array) -> float:
        """Return the penalty of a weight."""
        return self.vjp(w)[0]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_config")


class L1L2(Regularizer):
    """l1 * sum |w| + l2 * sum w^2 (Zou & Hastie 2005).

    Parameters
    ----------
    l1, l2 : float, default 0.0
        The two factors, from 0; the name "l1_l2" stands for 0.0 and 0.0, as in Keras.

    Raises
    ------
    TypeError, ValueError
        If a factor is negative or not finite.

    Notes
    -----
    The derivative of |w| at 0 is 0. Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.regularizers.L1L2(l1=0.5, l2=1.0)(np.array([1.0, -2.0]))
    6.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("l1", l1), _factor("l2", l2)

    def vjp(self, w: Array) -> tuple[float, Array]:
        """Return the penalty of a weight and its gradient."""
        penalty, gradient = 0.0, np.zeros_like(w)
        if self.l1:
            penalty += self.l1 * float(np.abs(w).sum(dtype=np.float64))
            gradient += w.dtype.type(self.l1) * np.sign(w)
        if self.l2:
            penalty += self.l2 * float(np.square(w, dtype=np.float64).sum())
            gradient += w.dtype.type(2.0 * self.l2) * w
        return penalty, gradient

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """l1 * sum |w| (Tibshirani 1996).

    Parameters
    ----------
    l1 : float, default 0.01
        The factor, from 0.

    Raises
    ------
    TypeError, ValueError
        If the factor is negative or not finite.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.regularizers.L1(0.5)(np.array([1.0, -3.0]))
    2.0
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1}


class L2(L1L2):
    """l2 * sum w^2 (Hoerl & Kennard 1970).

    Parameters
    ----------
    l2 : float, default 0.01
        The factor, from 0.

    Raises
    ------
    TypeError, ValueError
        If the factor is negative or not finite.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> layer = recurra.Dense(5, kernel_regularizer=recurra.regularizers.L2(1e-4))
    >>> recurra.regularizers.L2(0.5)(np.array([1.0, -3.0]))
    5.0
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Mean absolute cosine between different rows of a matrix, times ``factor`` (Brock et al. 2017, in Keras's form).

    Parameters
    ----------
    factor : float, default 0.01
        From 0.
    mode : {"rows", "columns"}, default "rows"
        Of our matrix (outputs, inputs): its rows are the columns of Keras's kernel (inputs, outputs).

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or on a weight that is no matrix.

    Notes
    -----
    The derivative of |cosine| at 0 is 0. Calls from several threads are safe.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> recurra.regularizers.OrthogonalRegularizer(1.0)(np.eye(3))
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("factor", factor)
        self.mode = _errors.check_choice("mode", mode, ["rows", "columns"])

    def vjp(self, w: Array) -> tuple[float, Array]:
        """Return the penalty of a weight and its gradient."""
        if w.ndim != 2:
            raise _errors.bad_value("w", "a matrix", f"shape {w.shape}", "regularize weights of two axes this way")
        rows = w if self.mode == "rows" else w.T
        norms = np.maximum(np.sqrt(np.square(rows).sum(axis=1, keepdims=True)), np.finfo(w.dtype).tiny)
        unit = rows / norms
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, 0.0)
        pairs = max(1.0, len(rows) * (len(rows) - 1.0) / 2.0)
        share = self.factor / pairs
        dunit = share * np.sign(cosines) @ unit  # each pair stands twice in the matrix, and halves the factor
        drows = (dunit - (dunit * unit).sum(axis=1, keepdims=True) * unit) / norms
        gradient = (drows if self.mode == "rows" else drows.T).astype(w.dtype)
        return 0.5 * share * float(np.abs(cosines).sum(dtype=np.float64)), np.ascontiguousarray(gradient)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"factor": self.factor, "mode": self.mode}


# Keras's other spelling.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

REGULARIZERS: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def check(argument: str, value: Any) -> Any:
    """Return the regularizer that a name, a description or an object means; None stays None."""
    return _objects.check(argument, value, REGULARIZERS, "vjp")


def serialize(value: Any) -> Any:
    """Return an object of a class here by class and arguments; one of your own as it is."""
    return _objects.serialize(value, REGULARIZERS.values())


def _factor(argument: str, value: object) -> float:
    return _errors.check_number(argument, value, 0.0, 1e30, "a number from 0")
