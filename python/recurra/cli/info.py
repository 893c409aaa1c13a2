"""``recurra info`` and ``recurra config``: facts as a dictionary for JSON, and as text."""

from __future__ import annotations

import collections
import json
import os
from typing import TYPE_CHECKING, Any

import recurra
from recurra.io import safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def facts(path: str) -> dict[str, Any]:
    """Return what a file holds: a dictionary that JSON can say.

    Parameters
    ----------
    path : str
        The file.
    """
    ending = os.path.splitext(path)[1].lower()
    found: dict[str, Any] = {"file": path, "bytes": os.path.getsize(path)}
    if ending == ".safetensors":
        archive = safetensors.Archive(path)
        if archive.metadata.get("format") != "recurra":
            return found | _of_arrays(archive)
    model = recurra.load(path)
    found["format"] = {".safetensors": "recurra"}.get(ending, ending.lstrip("."))
    return found | (_of_graph(model) if hasattr(model, "get_inputs") else _of_model(model))


def _of_arrays(archive: safetensors.Archive) -> dict[str, Any]:
    arrays = [
        {"name": name, "shape": list(entry.shape), "dtype": entry.dtype}
        for name, entry in sorted(archive.entries.items(), key=lambda item: item[1].begin)
    ]
    return {"format": "safetensors, no model", "metadata": archive.metadata, "arrays": arrays}


def _of_model(model: Any) -> dict[str, Any]:
    shapes = model.input_shape if len(model.input_names) > 1 else [model.input_shape]
    outputs = model._output_shapes(model.input_shape)
    kinds = ["int64" if integers else model.dtype.name for integers in getattr(model, "_integer_inputs", [False])]
    return {
        "class": type(model).__name__,
        "name": model.name,
        "dtype": model.dtype.name,
        "parameters": model.size,
        "not_trained": sum(weight.size for weight in model.weights_declared if not weight.moves),
        "inputs": [
            {"name": name, "shape": list(shape), "dtype": kind}
            for name, shape, kind in zip(model.input_names, shapes, kinds, strict=True)
        ],
        "outputs": [
            {"name": name, "shape": list(shape), "dtype": model.dtype.name}
            for name, shape in zip(model.output_names, outputs, strict=True)
        ],
        "compiled": _compiled(model),
        "layers": _layers(model),
    }


def _compiled(model: Any) -> dict[str, Any] | None:
    if model.optimizer is None or model._compiled is None:
        return None
    losses = model._compiled.loss if isinstance(model._compiled.loss, list) else [model._compiled.loss]
    return {"optimizer": type(model.optimizer).__name__, "loss": [getattr(loss, "name", str(loss)) for loss in losses]}


def _layers(model: Any) -> list[dict[str, Any]]:
    """Return every layer once, in the order in which they compute; shapes where they are known."""
    shapes: dict[int, Any] = {}
    if getattr(model, "nodes", None):
        for node in model.nodes:
            shapes.setdefault(id(node.layer), [list(tensor.shape) for tensor in node.outputs])
    else:
        shape = model.input_shape
        for layer in model.layers:
            try:
                shape = layer.compute_output_shape(shape)
                shapes[id(layer)] = [list(shape)]
            except (TypeError, ValueError, IndexError):
                break  # the layers of a class of one's own need not follow one another
    return [
        {
            "name": layer.name,
            "class": type(layer).__name__,
            "output_shapes": shapes.get(id(layer)),
            "parameters": layer.size,
            "trainable": layer.trainable,
            "weights": {weight.name: list(weight.shape) for weight in layer.weights_declared},
        }
        for layer in model.layers
    ]


def _of_graph(model: Any) -> dict[str, Any]:
    def listed(values: Sequence[Any]) -> list[dict[str, Any]]:
        shapes = [None if value.shape is None else list(value.shape) for value in values]
        kinds = [None if value.dtype is None else value.dtype.name for value in values]
        return [
            {"name": value.name, "shape": shape, "dtype": kind}
            for value, shape, kind in zip(values, shapes, kinds, strict=True)
        ]

    operators = collections.Counter(node.op_type for node in model.graph.nodes)
    return {
        "class": type(model).__name__,
        "inputs": listed(model.get_inputs()),
        "outputs": listed(model.get_outputs()),
        "operators": dict(operators.most_common()),
    }


# Text


def text(found: Mapping[str, Any]) -> str:
    """Return the facts as lines and a table."""
    shown: dict[str, Any] = {"file": found["file"], "format": found["format"], "size": f"{found['bytes']:,} bytes"}
    if found.get("metadata"):
        shown["metadata"] = ", ".join(f"{key}={value[:40]}" for key, value in found["metadata"].items())
    if "arrays" in found:
        arrays = [(array["name"], _shape(array["shape"]), array["dtype"]) for array in found["arrays"]]
        return "\n".join([*lines(shown), "", *table(("array", "shape", "dtype"), arrays)])
    shown["class"] = found["class"]
    if "parameters" in found:
        still = f", of these not trained {found['not_trained']:,}" if found["not_trained"] else ""
        shown["parameters"] = f"{found['parameters']:,} {found['dtype']}{still}"
    for kind in ("inputs", "outputs"):
        shown[kind] = ", ".join(f"{one['name']} {_shape(one['shape'])} {one['dtype']}" for one in found[kind])
    if found.get("compiled"):
        shown["compiled"] = f"{found['compiled']['optimizer']}, {', '.join(found['compiled']['loss'])}"
    if "operators" in found:
        shown["operators"] = ", ".join(f"{name} {count}" for name, count in found["operators"].items())
        return "\n".join(lines(shown))
    rows: list[tuple[str, ...]] = []
    for layer in found["layers"]:
        shapes = "?" if layer["output_shapes"] is None else ", ".join(map(_shape, layer["output_shapes"]))
        count = f"{layer['parameters']:,}" + ("" if layer["trainable"] else " (frozen)")
        rows.append((layer["name"], layer["class"], shapes, count))
    return "\n".join([*lines(shown), "", *table(("layer", "class", "output shape", "parameters"), rows)])


def _shape(shape: Sequence[Any] | None) -> str:
    if shape is None:
        return "(?)"
    inside = ", ".join("*" if size is None else str(size) for size in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return names and values in two columns."""
    width = max(map(len, found))
    return [
        f"{name:{width}}  {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in found.items()
    ]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows in columns under a head."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    made = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    return [made[0], "-" * max(map(len, made)), *made[1:]]


def configuration() -> dict[str, Any]:
    """Return what `recurra.show_config` says, and where the files for C programs are."""
    found: dict[str, Any] = json.loads(json.dumps(recurra.show_config("dict")))
    found["folder"] = os.path.dirname(os.path.abspath(recurra.__file__))
    for name in ("get_include", "get_library_dir", "get_cmake_dir"):
        try:
            found[name.removeprefix("get_")] = getattr(recurra, name)()
        except FileNotFoundError:
            found[name.removeprefix("get_")] = "none: not installed with the C library"
    return found
