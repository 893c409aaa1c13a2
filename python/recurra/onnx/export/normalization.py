"""Normalisations as at inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.layers.feature_normalization import LEAST

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.export.graph import Scope, Value


def _affine(layer: Any, scope: Scope) -> list[str]:
    """Return gamma and beta, of ones and zeros where the layer has none."""
    views, shape = layer._views[0], (layer._width,)

    def one(name: str, wanted: bool, fill: float) -> str:
        if wanted:
            return scope.weight(name, lambda: views[name])
        filled: Array = np.full(shape, fill, layer.dtype)
        return scope.graph.constant(filled)

    return [one("gamma", layer.scale, 1.0), one("beta", layer.center, 0.0)]


def layer_normalization(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `LayerNormalization`: one operator since version 17, its parts before."""
    x, (gamma, beta) = inputs[0], _affine(layer, scope)
    if scope.opset >= 17:
        given = [x.name, gamma, *([beta] if layer.center else [])]
        return scope.node("LayerNormalization", *given, axis=-1, epsilon=layer.epsilon)
    centred = scope.node("Sub", x.name, scope.reduce("ReduceMean", x.name, [-1], keepdims=True))
    variance = scope.reduce("ReduceMean", scope.node("Mul", centred, centred), [-1], keepdims=True)
    deviation = scope.node("Sqrt", scope.node("Add", variance, scope.number(layer.epsilon, x.dtype)))
    y = scope.node("Div", centred, deviation)
    y = scope.node("Mul", y, gamma) if layer.scale else y
    return scope.node("Add", y, beta) if layer.center else y


def batch_normalization(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `BatchNormalization` with its moving statistics; ONNX normalises axis 1."""
    x, views = inputs[0], layer._views[0]
    mean = scope.weight("moving_mean", lambda: views["moving_mean"])
    variance = scope.weight("moving_variance", lambda: views["moving_variance"])
    last = x.rank - 1
    turned = x.name if last == 1 else scope.transpose(x.name, 0, last, *range(1, last))
    given = [turned, *_affine(layer, scope), mean, variance]
    y = scope.node("BatchNormalization", *given, epsilon=layer.epsilon, momentum=layer.momentum)
    return y if last == 1 else scope.transpose(y, 0, *range(2, last + 1), 1)


def normalization(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Normalization` by its mean and variance."""
    x, views = inputs[0], layer._views[0]
    mean = scope.weight("mean", lambda: views["mean"])
    deviation = scope.node("Sqrt", scope.weight("variance", lambda: views["variance"]))
    deviation = scope.node("Max", deviation, scope.number(LEAST, x.dtype))
    if layer.invert:
        return scope.node("Add", scope.node("Mul", x.name, deviation), mean)
    return scope.node("Div", scope.node("Sub", x.name, mean), deviation)
