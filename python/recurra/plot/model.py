"""A model as a diagram of its layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra import _errors
from recurra.layers.recurrent import Recurrent
from recurra.models.functional import Functional
from recurra.models.sequential import Sequential
from recurra.plot.diagram import Box, Diagram

if TYPE_CHECKING:
    import os

    from recurra.layers.base import Layer

RANKDIRS = ("TB", "BT", "LR", "RL")


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    dpi: float = 200,
    show_trainable: bool = False,
) -> Diagram:
    """Draw a model's layers and what flows between them; Keras's function of that name, without graphviz.

    Parameters
    ----------
    model : Sequential or Model
        A chain, or a graph with any number of inputs, outputs and skip connections.
    to_file : path or None, default "model.svg"
        Ending in .svg, written by this library alone, or in .png, drawn by matplotlib; None writes nothing.
    show_shapes : bool, default False
        Show the shapes of each layer's inputs and outputs; the model must be built.
    show_dtype : bool, default False
        Show each layer's dtype.
    show_layer_names : bool, default False
        Show each layer's name below its class.
    rankdir : {"TB", "BT", "LR", "RL"}, default "TB"
        Where the arrows lead: from top to bottom, bottom to top, left to right, right to left.
    dpi : float, default 200
        Of a PNG.
    show_trainable : bool, default False
        Mark frozen layers.

    Returns
    -------
    Diagram
        Shows itself in notebooks; ``.svg()`` is its text. Dashed arrows carry states.

    Raises
    ------
    TypeError, ValueError
        If the model has no known layers, or shapes are asked of one that is not built.
    OSError
        If the file cannot be written.
    ImportError
        For a PNG if matplotlib is not installed.

    Examples
    --------
    >>> import recurra
    >>> model = recurra.Sequential([recurra.LSTM(32, name="reader"), recurra.Dense(10)])
    >>> model.build((None, None, 8))
    >>> diagram = recurra.plot.plot_model(model, "model.svg", show_shapes=True, show_layer_names=True)
    >>> "reader" in diagram.svg(), "(None, None, 8) → (None, 32)" in diagram.svg()
    (True, True)
    """
    _errors.check_choice("rankdir", rankdir, RANKDIRS)
    shown = {
        "shapes": _errors.check_flag("show_shapes", show_shapes),
        "dtype": _errors.check_flag("show_dtype", show_dtype),
        "names": _errors.check_flag("show_layer_names", show_layer_names),
        "trainable": _errors.check_flag("show_trainable", show_trainable),
    }
    path = None if to_file is None else Path(to_file)
    if path is not None and path.suffix.lower() not in (".svg", ".png"):
        raise _errors.bad_value("to_file", "a name ending in .svg or .png", repr(str(path)))
    diagram = Diagram(model.name if hasattr(model, "name") else "model", rankdir)
    if isinstance(model, Functional):
        _draw_graph(diagram, model, shown)
    elif isinstance(model, Sequential):
        _draw_chain(diagram, model, shown)
    else:
        hint = "a model with a __call__ of its own has no diagram"
        raise _errors.bad_type("model", "a Sequential or a Model(inputs, outputs)", model, hint)
    if path is not None and path.suffix.lower() == ".png":
        diagram.figure(dpi).savefig(path, dpi=dpi)
    elif path is not None:
        path.write_text(diagram.svg(), encoding="utf-8")
    return diagram


def _draw_chain(diagram: Diagram, model: Sequential, shown: dict[str, bool]) -> None:
    if not model.layers:
        raise _errors.bad_value("model", "at least one layer", "none", "call model.add(...)")
    if shown["shapes"] and not model.built:
        hint = "build it, model.build((None, None, features)), or call it on data"
        raise _errors.bad_value("model", "a built model for show_shapes=True", f"{model.name!r}, not built", hint)
    shape: Any = model.input_shape
    if model.built:
        diagram.boxes.append(_input_box("input", shape, shown, "int64" if model.integer_input else model.dtype.name))
    for layer in model.layers:
        after = layer.compute_output_shape(shape) if model.built else None
        diagram.boxes.append(_layer_box(layer, [shape], [after], shown))
        shape = after
    diagram.edges += [(index, index + 1, "data") for index in range(len(diagram.boxes) - 1)]


def _draw_graph(diagram: Diagram, model: Functional, shown: dict[str, bool]) -> None:
    boxes: dict[int, int] = {}  # of each array, by its placeholder
    for tensor, name in zip(model.inputs, model.input_names, strict=True):
        boxes[id(tensor)] = len(diagram.boxes)
        diagram.boxes.append(_input_box(name, tensor.shape, shown, tensor.dtype.name))
    for node in model.nodes:
        here = len(diagram.boxes)
        shapes = [tensor.shape for tensor in node.inputs], [tensor.shape for tensor in node.outputs]
        given = shapes[0] if node.layer.merges else shapes[0][:1]
        diagram.boxes.append(_layer_box(node.layer, given, shapes[1], shown))
        for place, tensor in enumerate(node.inputs):
            kind = "state" if place and isinstance(node.layer, Recurrent) else "data"
            edge = (boxes[id(tensor)], here, kind)
            if edge not in diagram.edges:  # h and c go the same way
                diagram.edges.append(edge)
        boxes.update({id(tensor): here for tensor in node.outputs})


def _input_box(name: str, shape: Any, shown: dict[str, bool], dtype: str) -> Box:
    lines = [name] if shown["names"] else []
    if shown["shapes"]:
        lines.append(str(shape))
    if shown["dtype"]:
        lines.append(dtype)
    return Box("Input", lines, "input")


def _layer_box(layer: Layer, before: list[Any], after: list[Any], shown: dict[str, bool]) -> Box:
    lines = [layer.name] if shown["names"] else []
    if shown["shapes"]:
        lines.append(f"{_shapes(before)} → {_shapes(after)}")
    if shown["dtype"]:
        lines.append(layer.dtype.name)
    if shown["trainable"] and not layer.trainable:
        lines.append("frozen")
    return Box(type(layer).__name__, lines, _kind(layer))


def _shapes(shapes: list[Any]) -> str:
    """Return shapes as text, alike ones counted."""
    counted = {str(shape): sum(other == shape for other in shapes) for shape in shapes}
    return ", ".join(text if count == 1 else f"{count} x {text}" for text, count in counted.items())


def _kind(layer: Layer) -> str:
    if isinstance(layer, Sequential | Functional):
        return "model"
    if isinstance(layer, Recurrent):
        return "recurrent"
    return "merge" if layer.merges else "other"
