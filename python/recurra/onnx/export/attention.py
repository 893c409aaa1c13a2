"""Attention: scores, the softmax of those that are seen, weighted means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from recurra.onnx.export.graph import Scope, Value


def attention(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `Attention` or `AdditiveAttention`; values beyond the lengths weigh exactly 0."""
    query, value = inputs[0], inputs[1]
    key = inputs[2] if len(inputs) > 2 else value
    queries, values = scope.kept(query, query.lengths), scope.kept(value, value.lengths)
    keys = values if len(inputs) == 2 else scope.kept(key, value.lengths)
    weights = _weights(layer, _scores(layer, queries, keys, scope), value, scope)
    y = scope.node("MatMul", weights, values)
    if query.lengths is None:
        return y
    mask = scope.unsqueeze(scope.counted(query.name, query.lengths), 2)
    return scope.node("Where", mask, y, scope.number(0.0, query.dtype))


def _scores(layer: Any, query: str, key: str, scope: Scope) -> str:
    """Emit s of every query and key, (batch, queries, keys)."""
    views = layer._views[0]
    scale = scope.weight("scale", lambda: views["scale"]) if layer.use_scale else ""
    if layer.score_mode == "dot":
        plain = scope.node("MatMul", query, scope.transpose(key, 0, 2, 1))
        return scope.node("Mul", plain, scale) if scale else plain
    additive = "concat_score_weight" not in views
    wide = scope.node("Add", scope.unsqueeze(query, 2), scope.unsqueeze(key, 1))
    if scale and not additive:
        wide = scope.node("Mul", wide, scale)
    squashed = scope.node("Tanh", wide)
    if scale and additive:
        squashed = scope.node("Mul", squashed, scale)
    sums = scope.reduce("ReduceSum", squashed, [3])
    if additive:
        return sums
    return scope.node("Mul", sums, scope.weight("concat_score_weight", lambda: views["concat_score_weight"]))


def _weights(layer: Any, scores: str, value: Value, scope: Scope) -> str:
    """Emit the softmax over the values that count; all 0 for a sample of none."""
    if value.lengths is None:
        return scope.node("Softmax", scores, axis=-1)
    seen = scope.unsqueeze(scope.counted(value.name, value.lengths), 1)
    lowest = scope.number(float(np.finfo(value.dtype).min), value.dtype)  # softmax of nothing else makes no NaN
    masked = scope.node("Where", seen, scores, lowest)
    return scope.node("Where", seen, scope.node("Softmax", masked, axis=-1), scope.number(0.0, value.dtype))
