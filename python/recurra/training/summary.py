"""The table of a model's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.layers.base import Layer
    from recurra.layers.symbolic import SymbolicTensor
    from recurra.training.trainer import Trainer


def describe(model: Trainer) -> str:
    """Return the table as text: layer and class, output shape, number of parameters, and in a graph what it reads."""
    graph = bool(getattr(model, "nodes", None))
    rows = [("Layer (type)", "Output shape", "Parameters", "Reads")]
    rows += _graph_rows(model) if graph else _chain_rows(model)
    columns = 4 if graph else 3
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    aligned = (str.ljust, str.ljust, str.rjust, str.ljust)
    lines = [
        "  ".join(align(text, width) for align, text, width in zip(aligned, row, widths, strict=False)).rstrip()
        for row in rows
    ]
    rule = "-" * max(len(line) for line in lines)
    if not model.built:
        return "\n".join([f"Model {model.name!r}, not built", lines[0], rule, *lines[1:]])
    size = model.size * model.dtype.itemsize
    total = [f"Parameters: {model.size:,} ({_bytes(size)}, {model.dtype.name})"]
    still = sum(weight.size for weight in model.weights_declared if not weight.moves)
    if still:
        total.append(f"Of these not trained: {still:,}")
    return "\n".join([f"Model {model.name!r}", lines[0], rule, *lines[1:], rule, *total])


def _chain_rows(model: Trainer) -> list[tuple[str, str, str, str]]:
    layers: list[Layer] = getattr(model, "layers", [model])
    chained = not getattr(model, "_collects", False)
    shape, rows = model.input_shape if model.built else None, []
    for layer in layers:
        try:
            given: Any = shape if chained else layer.input_shape
            shape = None if given is None else layer.compute_output_shape(given)
        except (TypeError, ValueError, IndexError):
            shape = None  # the layers of a class of one's own need not follow one another
        count = f"{layer.size:,}" if layer.built else "?"
        rows.append((f"{layer.name} ({type(layer).__name__})", "?" if shape is None else str(shape), count, ""))
    return rows


def _graph_rows(model: Any) -> list[tuple[str, str, str, str]]:
    rows = [
        (f"{name} (Input)", str(tensor.shape), "0", "")
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    ]
    names = {id(tensor): name for name, tensor in zip(model.input_names, model.inputs, strict=True)}
    seen: set[int] = set()
    for node in model.nodes:
        layer = node.layer
        count = "0 (shared)" if id(layer) in seen else f"{layer.size:,}"
        seen.add(id(layer))
        several = len(node.outputs) > 1
        shape = str([tensor.shape for tensor in node.outputs] if several else node.outputs[0].shape)
        reads = ", ".join(_source(tensor, names) for tensor in node.inputs)
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, count, reads))
    return rows


def _source(tensor: SymbolicTensor, inputs: dict[int, str]) -> str:
    """Return the name of an input or layer, with the number of an output among several."""
    if tensor.node is None:
        return inputs[id(tensor)]
    return tensor.node.layer.name + (f"[{tensor.index}]" if len(tensor.node.outputs) > 1 else "")


def _bytes(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KB" if size < 1024**2 else f"{size / 1024**2:.1f} MB"
