"""Layers of products, tables and activations: Dense, Embedding, Masking, CRF and what computes value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors

if TYPE_CHECKING:
    from recurra.activations import Activation
    from recurra.onnx.export.graph import Scope, Value

# Activations that are an operator without or with the attributes alpha and beta.
_OPERATORS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "elu": "Elu",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "hard_sigmoid": "HardSigmoid",
}


def activated(activation: Activation, name: str, dtype: np.dtype[Any], scope: Scope) -> str:
    """Emit an activation."""
    kind, alpha, beta = activation
    if kind == "identity":
        return name
    if kind == "softmax":
        return scope.node("Softmax", name, axis=-1)
    if kind in _OPERATORS:
        given = {} if kind not in ("elu", "leaky_relu", "thresholded_relu", "hard_sigmoid") else {"alpha": alpha}
        return scope.node(_OPERATORS[kind], name, **given, beta=beta if kind == "hard_sigmoid" else None)
    if kind == "scaled_tanh":
        inner = scope.node("Tanh", scope.node("Mul", name, scope.number(beta, dtype)))
        return scope.node("Mul", inner, scope.number(alpha, dtype))
    product = scope.node("Mul", name, scope.number(alpha, dtype))  # affine
    return scope.node("Add", product, scope.number(beta, dtype))


def activation(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `Activation`."""
    return activated(layer.activation, inputs[0].name, layer.dtype, scope)


def relu(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `ReLU` with its bounds and slope."""
    x, dtype = inputs[0].name, layer.dtype
    slope, threshold, most = layer.negative_slope, layer.threshold, layer.max_value
    if threshold:
        below = scope.number(0.0, dtype)
        if slope:
            beyond = scope.node("Sub", x, scope.number(threshold, dtype))
            below = scope.node("Mul", beyond, scope.number(slope, dtype))
        y = scope.node("Where", scope.node("Greater", x, scope.number(threshold, dtype)), x, below)
    else:
        y = scope.node("LeakyRelu", x, alpha=slope) if slope else scope.node("Relu", x)
    if most is None:
        return y
    bound = scope.number(most, dtype)
    return scope.node("Where", scope.node("GreaterOrEqual", x, bound), bound, y)


def softmax(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Softmax`."""
    return scope.node("Softmax", inputs[0].name, axis=layer.axis)


def dense(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Dense`: one operator on rows, two on more axes."""
    x, views = inputs[0], layer._views[0]
    bias = [scope.weight("bias", lambda: views["bias"])] if layer.use_bias else []
    if x.rank == 2:
        z = scope.node("Gemm", x.name, scope.weight("weight", lambda: views["weight"]), *bias, transB=1)
    else:
        z = scope.node("MatMul", x.name, scope.weight("weight_T", lambda: views["weight"].T))
        z = scope.node("Add", z, *bias) if bias else z
    return activated(layer.activation, z, layer.dtype, scope)


def same(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit nothing, for a layer that changes nothing at inference."""
    return inputs[0].name


def embedding(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `Embedding`."""
    return scope.node("Gather", scope.weight("embeddings", lambda: layer._views[0]["embeddings"]), inputs[0].name)


def embedding_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the lengths that zeros leave."""
    x = inputs[0]
    if not layer.mask_zero or x.rank < 2:
        return x.lengths
    if x.rank > 2:
        raise _errors.bad_value("model", "mask_zero on inputs (batch, time)", f"{x.rank} axes in {layer.name!r}")
    zero = scope.number(0, x.dtype)
    return _lengths(scope.node("Not", scope.node("Equal", x.name, zero)), x, scope)


def _lengths(counts: str, x: Value, scope: Scope) -> str:
    """Return how many steps of (batch, time) count."""
    if x.lengths is not None:
        counts = scope.node("And", counts, scope.counted(x.name, x.lengths))
    return scope.reduce("ReduceSum", scope.cast(counts, np.int64), [1])


def _unmasked(layer: Any, x: Value, scope: Scope) -> str:
    """Return which steps are no padding, with the features' axes kept as ones."""

    def make() -> str:
        differs = scope.node("Not", scope.node("Equal", x.name, scope.number(layer.mask_value, x.dtype)))
        axes = list(range(2, x.rank)) or [1]
        some = scope.reduce("ReduceMax", scope.cast(differs, np.int32), axes, keepdims=True)
        return scope.cast(some, np.bool_)

    return scope.graph.once(("unmasked", layer.mask_value, x.name), make)


def masking(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Masking`: padding becomes 0."""
    x = inputs[0]
    return scope.node("Where", _unmasked(layer, x, scope), x.name, scope.number(0.0, x.dtype))


def masking_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the lengths that padding leaves."""
    x = inputs[0]
    if x.rank < 3:
        return x.lengths
    return _lengths(scope.squeeze(_unmasked(layer, x, scope), *range(2, x.rank)), x, scope)


def crf(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `CRF`: potentials of steps from label to label."""
    x, views = inputs[0], layer._views[0]
    steps = scope.unsqueeze(scope.steps(x.name), 0, 2, 3)
    first = scope.node("Equal", steps, scope.integer(0))
    transitions = scope.weight("transitions", lambda: views["transitions"])
    start = scope.number(0.0, x.dtype)
    if layer.use_boundary:
        start = scope.weight("start", lambda: views["start"])
    scores = scope.unsqueeze(x.name, 2)
    y = scope.node("Add", scores, scope.node("Where", first, start, transitions))
    if not layer.use_boundary:
        return y
    count = scope.size(x.name, 1) if x.lengths is None else x.lengths
    last = scope.node("Equal", steps, scope.unsqueeze(scope.node("Sub", count, scope.integer(1)), 1, 2, 3))
    end = scope.node("Where", last, scope.weight("end", lambda: views["end"]), scope.number(0.0, x.dtype))
    return scope.node("Add", y, end)
