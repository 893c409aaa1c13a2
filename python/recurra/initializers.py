"""Initial values of parameters. Draws come from the engine's counter-based generator and repeat for a seed.

Wherever a layer takes an initializer it accepts a name from ``INITIALIZERS`` or a function
``f(shape, seed, stream) -> array``. Shapes are PyTorch's, (outputs, inputs); a recurrent layer's matrix holds all its
gates, and is initialised as a whole, as in Keras.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array

    Initializer = Callable[[tuple[int, ...], int, int], Array]


def _uniform(shape: tuple[int, ...], seed: int, stream: int, limit: float) -> Array:
    draws = _core.random_uniform(seed, stream, math.prod(shape)).reshape(shape)
    values: Array = (2.0 * draws - 1.0) * limit
    return values


def _normal(shape: tuple[int, ...], seed: int, stream: int, deviation: float) -> Array:
    values: Array = _core.random_normal(seed, stream, math.prod(shape)).reshape(shape) * deviation
    return values


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of inputs and outputs; of (filters, channels, kernel) the kernel counts in both."""
    if len(shape) < 2:
        return shape[0], shape[0]
    return math.prod(shape[1:]), shape[0] * math.prod(shape[2:])


def zeros(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """All 0."""
    return np.zeros(shape)


def ones(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """All 1."""
    return np.ones(shape)


def glorot_uniform(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """U(-a, a) with a = sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    return _uniform(shape, seed, stream, math.sqrt(6.0 / max(1, sum(_fans(shape)))))


def glorot_normal(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Normal with variance 2 / (inputs + outputs), not truncated (Glorot & Bengio 2010)."""
    return _normal(shape, seed, stream, math.sqrt(2.0 / max(1, sum(_fans(shape)))))


def he_uniform(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """U(-a, a) with a = sqrt(6 / inputs) (He et al. 2015)."""
    return _uniform(shape, seed, stream, math.sqrt(6.0 / max(1, _fans(shape)[0])))


def he_normal(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Normal with variance 2 / inputs, not truncated (He et al. 2015)."""
    return _normal(shape, seed, stream, math.sqrt(2.0 / max(1, _fans(shape)[0])))


def lecun_uniform(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """U(-a, a) with a = sqrt(3 / inputs) (LeCun et al. 1998)."""
    return _uniform(shape, seed, stream, math.sqrt(3.0 / max(1, _fans(shape)[0])))


def orthogonal(shape: tuple[int, ...], seed: int, stream: int) -> Array:
    """Orthonormal columns, or rows where these are fewer, from the QR of a normal draw (Saxe et al. 2014)."""
    rows, columns = shape if len(shape) == 2 else (shape[0], math.prod(shape[1:]))
    draw = _normal((max(rows, columns), min(rows, columns)), seed, stream, 1.0)
    q, r = np.linalg.qr(draw)
    q = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)  # makes the result unique, and uniform over the group
    values: Array = (q if rows >= columns else q.T).reshape(shape)
    return values


# PyTorch's default for its recurrent and linear layers. The bound belongs to the layer, not to the shape, so the
# layer draws it through `pytorch_bound`.
PYTORCH_UNIFORM = "pytorch_uniform"

INITIALIZERS: dict[str, Initializer] = {
    "zeros": zeros,
    "ones": ones,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "orthogonal": orthogonal,
}


def check(argument: str, value: object) -> Any:
    """Return ``value`` if it names an initializer or is a function."""
    if callable(value):
        return value
    return _errors.check_choice(argument, value, [*INITIALIZERS, PYTORCH_UNIFORM])


def resolve(value: Any, width: int) -> Initializer:
    """Return the function of a checked initializer.

    Parameters
    ----------
    value : str or callable
        A name or a function.
    width : int
        PyTorch's uniform draws from U(-1/sqrt(width), 1/sqrt(width)): hidden units of a recurrent layer, inputs of a
        dense one.
    """
    if callable(value):
        function: Initializer = value
        return function
    if value == PYTORCH_UNIFORM:
        limit = 1.0 / math.sqrt(max(1, width))
        return lambda shape, seed, stream: _uniform(shape, seed, stream, limit)
    return INITIALIZERS[value]
