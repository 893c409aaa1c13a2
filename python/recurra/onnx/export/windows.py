"""Convolution and pooling over time; ONNX keeps the time axis last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.onnx.export.plain import activated

if TYPE_CHECKING:
    from recurra.onnx.export.graph import Scope, Value


def conv(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Conv1D`; outputs beyond the lengths are 0."""
    x, views = inputs[0], layer._views[0]
    turned = scope.transpose(scope.kept(x, x.lengths), 0, 2, 1)
    weights = [scope.weight("weight", lambda: views["weight"])]
    if layer.use_bias:
        weights.append(scope.weight("bias", lambda: views["bias"]))
    attributes = {
        "kernel_shape": [layer.kernel_size],
        "strides": [layer.strides],
        "dilations": [layer.dilation_rate],
        "group": layer.groups,
        **_padding(layer.padding, layer.span, layer.strides),
    }
    z = scope.transpose(scope.node("Conv", turned, *weights, **attributes), 0, 2, 1)
    y = activated(layer.activation, z, layer.dtype, scope)
    if x.lengths is None:
        return y
    after = conv_lengths(layer, inputs, scope)
    return scope.kept(x._replace(name=y), after)


def _padding(padding: str, span: int, strides: int) -> dict[str, Any]:
    if padding == "same" and strides == 1:
        return {"pads": [(span - 1) // 2, span // 2]}
    if padding == "same":
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [span - 1 if padding == "causal" else 0, 0]}


def conv_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit how many outputs of each sample count."""
    return _windows(inputs[0].lengths, layer.padding, layer.span, layer.strides, scope)


def pooling_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit how many windows of each sample count."""
    return _windows(inputs[0].lengths, layer.padding, layer.pool_size, layer.strides, scope)


def _windows(lengths: str | None, padding: str, span: int, strides: int, scope: Scope) -> str | None:
    """Return max(0, (length - span) // strides + 1), or ceil(length / strides) unless the padding is "valid"."""
    if lengths is None:
        return None

    def make() -> str:
        more = scope.node("Add", lengths, scope.integer(strides - (span if padding == "valid" else 1)))
        return scope.node("Div", scope.node("Max", more, scope.integer(0)), scope.integer(strides))

    return scope.graph.once(("windows", lengths, padding == "valid", span, strides), make)


def max_pooling(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `MaxPooling1D`; a window of no steps that count gives 0."""
    x = inputs[0]
    y = _pooled("MaxPool", scope.kept(x, x.lengths, -np.inf), layer, scope)
    if x.lengths is None:
        return y
    some = _pooled("MaxPool", _weight(x, x.lengths, scope), layer, scope)
    return scope.node("Where", scope.cast(some, np.bool_), y, scope.number(0.0, x.dtype))


def average_pooling(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `AveragePooling1D`: the mean of the steps that are there and count."""
    x = inputs[0]
    total = _pooled("AveragePool", scope.kept(x, x.lengths), layer, scope)
    if x.lengths is None:
        return total
    share = _pooled("AveragePool", _weight(x, x.lengths, scope), layer, scope)
    one, zero = scope.number(1.0, x.dtype), scope.number(0.0, x.dtype)
    some = scope.node("Greater", share, zero)
    return scope.node("Div", total, scope.node("Where", some, share, one))


def _weight(x: Value, lengths: str, scope: Scope) -> str:
    """Return 1 for steps that count and 0 for others, (batch, time, 1)."""
    return scope.cast(scope.unsqueeze(scope.counted(x.name, lengths), 2), x.dtype)


def _pooled(op: str, x: str, layer: Any, scope: Scope) -> str:
    padding = {"auto_pad": "SAME_UPPER"} if layer.padding == "same" else {"pads": [0, 0]}
    turned = scope.transpose(x, 0, 2, 1)
    y = scope.node(op, turned, kernel_shape=[layer.pool_size], strides=[layer.strides], **padding)
    return scope.transpose(y, 0, 2, 1)


def global_average(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `GlobalAveragePooling1D`."""
    x = inputs[0]
    if x.lengths is None:
        return scope.reduce("ReduceMean", x.name, [1], layer.keepdims)
    total = scope.reduce("ReduceSum", scope.kept(x, x.lengths), [1], keepdims=True)
    count = scope.cast(scope.node("Max", x.lengths, scope.integer(1)), x.dtype)
    return _narrowed(scope.node("Div", total, scope.unsqueeze(count, 1, 2)), layer, scope)


def global_max(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `GlobalMaxPooling1D`; a sample of no steps gives 0."""
    x = inputs[0]
    if x.lengths is None:
        return scope.reduce("ReduceMax", x.name, [1], layer.keepdims)
    y = scope.reduce("ReduceMax", scope.kept(x, x.lengths, -np.inf), [1], keepdims=True)
    empty = scope.unsqueeze(scope.node("Equal", x.lengths, scope.integer(0)), 1, 2)
    return _narrowed(scope.node("Where", empty, scope.number(0.0, x.dtype), y), layer, scope)


def _narrowed(y: str, layer: Any, scope: Scope) -> str:
    return y if layer.keepdims else scope.squeeze(y, 1)
