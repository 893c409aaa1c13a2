"""The table of a model's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.layers.base import Layer
    from recurra.training.trainer import Trainer


def describe(model: Trainer) -> str:
    """Return the table as text: layer and class, output shape, number of parameters."""
    rows = [("Layer (type)", "Output shape", "Parameters")]
    layers: list[Layer] = getattr(model, "layers", [model])
    shape = model.input_shape if model.built else None
    for layer in layers:
        shape = None if shape is None else layer.compute_output_shape(shape)
        count = f"{layer.size:,}" if layer.built else "?"
        rows.append((f"{layer.name} ({type(layer).__name__})", "?" if shape is None else str(shape), count))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    if not model.built:
        return "\n".join([f"Model {model.name!r}, not built", lines[0], rule, *lines[1:]])
    size = model.size * model.dtype.itemsize
    total = f"Parameters: {model.size:,} ({_bytes(size)}, {model.dtype.name})"
    return "\n".join([f"Model {model.name!r}", lines[0], rule, *lines[1:], rule, total])


def _bytes(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KB" if size < 1024**2 else f"{size / 1024**2:.1f} MB"
