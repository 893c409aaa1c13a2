"""Layers that move, repeat and cut values: reshaping and resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.onnx.export.graph import Scope, Value

_END = 2**63 - 1


def flatten(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Flatten`."""
    return scope.node("Flatten", inputs[0].name, axis=1)


def reshape(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Reshape`; 0 stands for the batch's size."""
    return scope.node("Reshape", inputs[0].name, scope.ints(0, *layer.target_shape))


def permute(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Permute`."""
    return scope.transpose(inputs[0].name, 0, *layer.dims)


def permute_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Return the lengths where the time axis stays."""
    return inputs[0].lengths if layer.dims[0] == 1 else None


def repeat_vector(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `RepeatVector`."""
    return scope.node("Tile", scope.unsqueeze(inputs[0].name, 1), scope.ints(1, layer.n, 1))


def zero_padding(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `ZeroPadding1D`."""
    x = inputs[0]
    pads = scope.ints(0, layer.start, 0, 0, layer.end, 0)
    return scope.node("Pad", x.name, pads, scope.number(0.0, x.dtype))


def zero_padding_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the lengths with the steps at the start."""
    lengths = inputs[0].lengths
    return None if lengths is None else scope.node("Add", lengths, scope.integer(layer.start))


def cropping(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `Cropping1D`."""
    return scope.slice(inputs[0].name, 1, layer.start, -layer.end if layer.end else _END)


def cropping_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the lengths that are left."""
    x = inputs[0]
    if x.lengths is None:
        return None
    left = scope.node("Max", scope.node("Sub", x.lengths, scope.integer(layer.start)), scope.integer(0))
    most = scope.node("Sub", scope.size(x.name, 1), scope.integer(layer.start + layer.end))
    return scope.node("Min", left, most)


def up_sampling(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit an `UpSampling1D`."""
    wide = scope.node("Tile", scope.unsqueeze(inputs[0].name, 2), scope.ints(1, 1, layer.repeats, 1))
    return scope.node("Reshape", wide, scope.ints(0, -1, inputs[0].shape[-1] or 0))


def up_sampling_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    """Emit the lengths times the size."""
    lengths = inputs[0].lengths
    return None if lengths is None else scope.node("Mul", lengths, scope.integer(layer.repeats))


def rows(x: str, rank: int, scope: Scope) -> str:
    """Return (batch, time, ...) as (batch * time, ...)."""
    rest = scope.node("Slice", scope.node("Shape", x), scope.ints(2), scope.ints(rank))
    return scope.node("Reshape", x, scope.node("Concat", scope.ints(-1), rest, axis=0))


def steps_of(y: str, rank: int, x: str, scope: Scope) -> str:
    """Return (batch * time, ...) as (batch, time, ...), the sizes of batch and time those of ``x``."""
    both = scope.node("Slice", scope.node("Shape", x), scope.ints(0), scope.ints(2))
    rest = scope.node("Slice", scope.node("Shape", y), scope.ints(1), scope.ints(rank))
    return scope.node("Reshape", y, scope.node("Concat", both, rest, axis=0))
