"""Files that recurra wrote: their layers made anew, and believed only if they write the very same graph again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.graph import Graph

_DIGITS = 2**20  # of an index: what float32 holds exactly, and more than one pass for larger models


def rebuilt(graph: Graph) -> Any:
    """Return the model that wrote a graph, with its weights; None if the graph is not one, or was changed since."""
    from recurra.onnx.graph import read_graph

    made = _described(graph)
    if made is None:
        return None
    try:
        model = _model(made)
        if model.size > sum(array.size for array in graph.initializers.values()):
            return None  # before anything of that size is made
        options = _options(made, model, graph)
        model._attach(_parameters(model, graph, options), np.zeros(model.size, model.dtype))
        from recurra.onnx.export import to_proto

        again = read_graph(to_proto(model, **options))
    except Exception:  # whatever a text that others wrote leads to: it is not believed
        return None
    return model if _same(graph, again) else None


def _described(graph: Graph) -> dict[str, Any] | None:
    """Return what a file says of its layers."""
    try:
        made = json.loads(graph.metadata.get("recurra") or "null")
    except (ValueError, RecursionError):
        return None
    known = {"class_name", "config", "input_shape", "opset", "lengths"}
    return made if isinstance(made, dict) and set(made) == known else None


def _model(made: dict[str, Any]) -> Any:
    from recurra.io.native import _shape
    from recurra.models import Functional, Sequential

    cls: Any = {"Sequential": Sequential, "Functional": Functional}[made["class_name"]]
    model = cls.from_config(made["config"])
    if not model.built:
        model.build(_shape(made["input_shape"]))
    return model


def _options(made: dict[str, Any], model: Any, graph: Graph) -> dict[str, Any]:
    """Return how the file was written."""
    count = len(model.inputs) if hasattr(model, "inputs") else 1
    return {
        "opset": made["opset"],
        "lengths": made["lengths"],
        "input_names": [value.name for value in graph.inputs[:count]],
        "output_names": [value.name for value in graph.outputs],
    }


def _parameters(model: Any, graph: Graph, options: dict[str, Any]) -> Array:
    """Return the model's parameters as the file has them.

    Writing moves a parameter's numbers to their places in the file. Where each one goes is seen by writing a model
    whose parameters are their own places, counted from 1.
    """
    from recurra.onnx.export import weights_of

    places: dict[str, Any] = {}
    counted = np.arange(1, model.size + 1)
    for digit in range(2 if model.size >= _DIGITS else 1):
        digits = counted % _DIGITS if not digit else counted // _DIGITS
        model._attach(digits.astype(model.dtype), np.zeros(model.size, model.dtype))
        for name, array in weights_of(model, **options).items():
            places[name] = places.get(name, 0) + array.astype(np.int64) * _DIGITS**digit
    found = np.full(model.size, np.nan, model.dtype)
    filled = np.zeros(model.size, bool)
    for name, place in places.items():
        array = graph.initializers[name]
        if array.shape != place.shape or array.dtype != model.dtype:
            raise ValueError(name)
        some = place > 0
        found[place[some] - 1] = array[some]
        filled[place[some] - 1] = True
    if not filled.all():
        raise ValueError("parameters that no output needs")
    return found


def _same(graph: Graph, again: Graph) -> bool:
    """Whether two graphs say the same."""
    if (graph.inputs, graph.outputs, graph.opset) != (again.inputs, again.outputs, again.opset):
        return False
    if [node.proto for node in graph.nodes] != [node.proto for node in again.nodes]:
        return False
    mine, others = graph.initializers, again.initializers
    return set(mine) == set(others) and all(
        mine[name].dtype == others[name].dtype
        and mine[name].shape == others[name].shape
        and mine[name].tobytes() == others[name].tobytes()
        for name in mine
    )
