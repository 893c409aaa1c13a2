"""Layers that make one array of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.joining import einsum_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra.onnx.export.graph import Scope, Value


def elementwise(op: str) -> Callable[[Any, list[Value], Scope], str]:
    """Return the emitter of a layer that applies an operator of two inputs again and again."""

    def emit(layer: Any, inputs: list[Value], scope: Scope) -> str:
        most = max(value.rank for value in inputs)
        y, *others = [_widened(value, most, scope) for value in inputs]
        for other in others:
            y = scope.node(op, y, other)
        return y

    return emit


def average(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `Average`."""
    total = elementwise("Add")(layer, inputs, scope)
    return scope.node("Mul", total, scope.number(1.0 / len(inputs), layer.dtype))


def _widened(value: Value, rank: int, scope: Scope) -> str:
    """Return an input with axes of size 1 behind the batch axis, as many as others have more."""
    return value.name if value.rank == rank else scope.unsqueeze(value.name, *range(1, 1 + rank - value.rank))


def elementwise_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the largest lengths, of the inputs that are not repeated in time."""
    timed = [value for value in inputs if value.rank > 2]
    long = [value for value in timed if value.shape[1] != 1] or timed
    return _longest([value.lengths for value in long], scope)


def _longest(lengths: Sequence[str | None], scope: Scope) -> str | None:
    given = list(dict.fromkeys(some for some in lengths if some is not None))
    if not given or None in lengths:
        return None
    return given[0] if len(given) == 1 else scope.node("Max", *given)


def concatenate(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Concatenate`."""
    return scope.node("Concat", *(value.name for value in inputs), axis=layer.axis)


def concatenate_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the largest lengths along the features; along time those of the last input behind the others."""
    rank, lengths = inputs[0].rank, [value.lengths for value in inputs]
    if rank < 3 or all(some is None for some in lengths):
        return None
    if _errors.check_axis("axis", layer.axis, rank) != 1:
        return _longest(lengths, scope)
    if any(some is not None for some in lengths[:-1]):
        hint = "padding would lie between steps: put that input last, or concatenate the features"
        raise _errors.bad_value("model", f"no padding before the last input of {layer.name!r}", "lengths of one", hint)
    total = lengths[-1]
    for value in inputs[:-1]:
        total = scope.node("Add", total or "", scope.size(value.name, 1))
    return total


def dot(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Dot`: products summed over one axis of each input."""
    shapes = [value.shape for value in inputs]
    places = layer._places(shapes)
    units = [_unit(layer, value, place, scope) for value, place in zip(inputs, places, strict=True)]
    first, second, out = einsum_letters(*(value.rank for value in inputs), *places)
    y = scope.node("Einsum", *units, equation=f"{first},{second}->{out}")
    return scope.unsqueeze(y, 1) if len(out) == 1 else y


def _unit(layer: Any, value: Value, axis: int, scope: Scope) -> str:
    """Return an input with norm 1 along the axis, if the layer normalises."""
    if not layer.normalize:
        return value.name
    square = scope.reduce("ReduceSum", scope.node("Mul", value.name, value.name), [axis], keepdims=True)
    norm = scope.node("Sqrt", scope.node("Max", square, scope.number(1e-12, value.dtype)))
    return scope.node("Div", value.name, norm)
