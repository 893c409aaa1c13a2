"""Activations behind a product, softmax among them: forward, and backward from the outputs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _core, activations

if TYPE_CHECKING:
    from recurra._typing import Array

_SOFTMAX = activations.Activation("softmax")


def resolve(argument: str, value: Any) -> activations.Activation:
    """Return a layer's activation, which may be "softmax" beside those of `recurra.activations`."""
    if value == "softmax" or (isinstance(value, tuple | list) and list(value[:1]) == ["softmax"]):
        return _SOFTMAX
    return activations.resolve(argument, value)


def config(activation: activations.Activation) -> Any:
    """Return an activation as JSON can say it."""
    return "softmax" if activation.name == "softmax" else list(activation)


def forward(activation: activations.Activation, z: Array) -> Array:
    """Return f(z); softmax is over the last axis."""
    name, alpha, beta = activation
    if name == "identity":
        return z
    return _core.softmax(z) if name == "softmax" else _core.activation(name, alpha, beta, z)


def backward(activation: activations.Activation, y: Array, dy: Array) -> Array:
    """Return the gradient of z from the outputs y = f(z) and their gradient."""
    name, alpha, beta = activation
    if name == "identity":
        return dy
    return _core.softmax_backward(y, dy) if name == "softmax" else _core.activation_backward(name, alpha, beta, y, dy)
