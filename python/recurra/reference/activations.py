"""Activation functions, each with its derivative written in terms of its own output."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from ._types import Array

ActivationLike: TypeAlias = "str | tuple[str, float, float] | Activation"


def sigmoid(x: Array) -> Array:
    """Logistic function ``1 / (1 + exp(-x))``; small relative error on both sides, no warning far out."""
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right limit, 0
        result: Array = 1.0 / (1.0 + np.exp(-x))
    return result


def elu(x: Array, alpha: float) -> Array:
    """Exponential linear unit ``x if x > 0 else alpha * (exp(x) - 1)`` (Clevert et al. 2016)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _scaled_tanh_slope(y: Array, alpha: float, beta: float) -> Array:
    return beta * (alpha - y * y / alpha) if alpha != 0 else np.zeros_like(y)


class Rule(NamedTuple):
    """One row of the list of activations: ``y = function(x, a, b)`` and ``dy/dx = slope(y, a, b)``."""

    function: Callable[[Array, float, float], Array]
    slope: Callable[[Array, float, float], Array]
    alpha: float = 0.0
    beta: float = 0.0


RULES: dict[str, Rule] = {
    "tanh": Rule(lambda x, a, b: np.tanh(x), lambda y, a, b: 1 - y * y),
    "sigmoid": Rule(lambda x, a, b: sigmoid(x), lambda y, a, b: y * (1 - y)),
    "relu": Rule(lambda x, a, b: np.maximum(x, 0), lambda y, a, b: (y > 0).astype(y.dtype)),
    "hard_sigmoid": Rule(
        lambda x, a, b: np.clip(a * x + b, 0, 1), lambda y, a, b: a * ((y > 0) & (y < 1)).astype(y.dtype), 1 / 6, 0.5
    ),
    "softsign": Rule(lambda x, a, b: x / (1 + np.abs(x)), lambda y, a, b: (1 - np.abs(y)) ** 2),
    "softplus": Rule(lambda x, a, b: np.logaddexp(0, x), lambda y, a, b: -np.expm1(-y)),
    "elu": Rule(lambda x, a, b: elu(x, a), lambda y, a, b: np.where(y > 0, 1, y + a), 1.0),
    "leaky_relu": Rule(
        lambda x, a, b: np.where(x > 0, x, a * x), lambda y, a, b: np.where(y > 0, 1, a).astype(y.dtype), 0.01
    ),
    "thresholded_relu": Rule(lambda x, a, b: np.where(x > a, x, 0), lambda y, a, b: (y != 0).astype(y.dtype), 1.0),
    "scaled_tanh": Rule(lambda x, a, b: a * np.tanh(b * x), _scaled_tanh_slope, 1.0, 1.0),
    "affine": Rule(lambda x, a, b: a * x + b, lambda y, a, b: np.full_like(y, a), 1.0),
    "identity": Rule(lambda x, a, b: x, lambda y, a, b: np.ones_like(y)),
}
"""Every activation: its function, its derivative from the output, the defaults of alpha and beta."""


class Activation(NamedTuple):
    """An activation with its constants.

    ========================  ============================================  ==================
    name                      y                                             alpha, beta
    ========================  ============================================  ==================
    ``tanh``                  tanh x
    ``sigmoid``               1 / (1 + exp(-x))
    ``relu``                  max(0, x)
    ``hard_sigmoid``          max(0, min(1, alpha x + beta))                1/6, 0.5 (Keras 3)
    ``softsign``              x / (1 + abs(x))
    ``softplus``              log(1 + exp x)
    ``elu``                   x if x > 0 else alpha (exp(x) - 1)            1
    ``leaky_relu``            x if x > 0 else alpha x                       0.01
    ``thresholded_relu``      x if x > alpha else 0                         1
    ``scaled_tanh``           alpha tanh(beta x)                            1, 1
    ``affine``                alpha x + beta                                1, 0
    ``identity``, ``linear``  x
    ========================  ============================================  ==================

    The derivative is taken from the output y. At the kink of ``relu`` it is 0, of ``leaky_relu`` and ``elu``
    alpha. ``leaky_relu``, ``elu`` and ``thresholded_relu`` need alpha >= 0, or else y no longer tells x's side.
    """

    name: str
    alpha: float
    beta: float

    @staticmethod
    def of(value: ActivationLike) -> Activation:
        """Read a name (constants by default) or a triple (name, alpha, beta)."""
        name, *constants = (value,) if isinstance(value, str) else value
        name = "identity" if name == "linear" else name
        if name not in RULES:
            raise ValueError(f"activation: expected one of {', '.join(RULES)}, got {name!r}")
        alpha, beta = constants or (RULES[name].alpha, RULES[name].beta)
        return Activation(str(name), float(alpha), float(beta))

    def __call__(self, x: Array) -> Array:
        """Apply the function to every element."""
        return RULES[self.name].function(x, self.alpha, self.beta)

    def slope(self, y: Array) -> Array:
        """Return dy/dx where the output is y."""
        return RULES[self.name].slope(y, self.alpha, self.beta)


class Gate(NamedTuple):
    """An activation behind ONNX's ``clip``: ``y = activation(max(-clip, min(clip, z)))``; clip = 0: unlimited."""

    activation: Activation
    clip: float = 0.0

    def __call__(self, z: Array) -> Array:
        """Apply the gate to its pre-activation z."""
        return self.activation(np.clip(z, -self.clip, self.clip) if self.clip > 0 else z)

    def backward(self, dy: Array, y: Array, z: Array) -> Array:
        """Return the gradient of z; it is 0 where z was clamped."""
        dz = dy * self.activation.slope(y)
        return dz * (np.abs(z) <= self.clip) if self.clip > 0 else dz
