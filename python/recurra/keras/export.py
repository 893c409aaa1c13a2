"""Models as Keras 3's configurations, and the files of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from recurra import _errors, layers
from recurra.keras import archive
from recurra.keras.describe import described, layer_config, stack_config
from recurra.keras.masks import Flow, Step
from recurra.keras.order import keras_order
from recurra.keras.weights import weights_tree
from recurra.models import Functional, Sequential

if TYPE_CHECKING:
    from recurra.layers.base import Layer
    from recurra.layers.symbolic import SymbolicTensor
    from recurra.training.trainer import Trainer

VERSION = "3.6.0"  # whose files these are


def save(model: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a model as ``.keras``; see `Trainer.save`."""
    name = os.fspath(path)
    if not name.lower().endswith(".keras"):
        hint = "Keras reads models from there; save_weights writes .weights.h5"
        raise _errors.bad_value("path", "a name ending in .keras", repr(name), hint)
    model._require_built()
    config, flow = _Writer().model(model)
    flow.run([None] * len(flow.inputs))
    weights = archive.hdf5_bytes(weights_tree(model, None))
    archive.write(path, config, {"keras_version": VERSION, "date_saved": ""}, weights)


class _Writer:
    """Describes models, with the calls in them for a look at their masks."""

    def __init__(self) -> None:
        self.zeros: set[int] = set()

    def model(self, model: Layer) -> tuple[dict[str, Any], Flow]:
        if isinstance(model, Sequential):
            return self._sequential(model)
        if isinstance(model, Functional):
            return self._functional(model)
        hint = "a class of one's own has code that a file cannot hold"
        raise _errors.bad_value(
            "model", "a Sequential, or a Model of inputs and outputs", repr(type(model).__name__), hint
        )

    def layer(self, layer: Layer) -> tuple[dict[str, Any], Flow | None]:
        """Return a layer's part of a configuration; of a model also its calls."""
        flow: Flow | None = None
        if isinstance(layer, Sequential | Functional):
            made, flow = self.model(layer)
        elif isinstance(layer, layers.TimeDistributed):
            inner, _ = self.layer(layer.layer)
            made = described("TimeDistributed", {"layer": inner}, layer.name, layer.dtype.name)
        elif isinstance(layer, layers.RecurrentStack):
            made = described("RNN", stack_config(layer), layer.name, layer.dtype.name)
        else:
            made = described(*layer_config(layer), layer.name, layer.dtype.name)
        if getattr(layer, "return_sequences", False):
            self.zeros.add(id(layer))
        made["config"]["trainable"] = layer.trainable
        if made["class_name"] == "SpatialDropout1D":
            del made["config"]["trainable"]  # which Keras's class does not take
        if layer.input_shape is not None:
            many = layer.merges
            shape = [_list(part) for part in layer.input_shape] if many else _list(layer.input_shape)
            made["build_config"] = {"input_shape": shape}
        return made, flow

    def _sequential(self, model: Sequential) -> tuple[dict[str, Any], Flow]:
        assert model.input_shape is not None
        dtype = "int64" if model.integer_input else model.dtype.name
        parts = [_input("input", _list(model.input_shape), dtype, model.layers)]
        flow = Flow(3, self.zeros)
        for index, layer in enumerate(model.layers):
            part, inner = self.layer(layer)
            parts.append(part)
            flow.calls.append(Step(part["class_name"], layer, [index], [index + 1], inner))
        flow.inputs, flow.outputs = [0], [len(model.layers)]
        return described("Sequential", {"layers": parts}, model.name, model.dtype.name), flow

    def _functional(self, model: Functional) -> tuple[dict[str, Any], Flow]:
        model._require_own("save")
        flow = Flow(3, self.zeros)
        inputs = zip(model.input_names, model.inputs, strict=True)
        parts = [_input(name, _list(tensor.shape), tensor.dtype.name, model.layers) for name, tensor in inputs]
        places = {id(t): (part["name"], 0, 0) for part, t in zip(parts, model.inputs, strict=True)}
        numbers = {id(tensor): index for index, tensor in enumerate(model.inputs)}
        made = {}
        for layer in keras_order(model):
            made[id(layer)] = self.layer(layer)
            made[id(layer)][0]["inbound_nodes"] = []
        for node in model.nodes:
            part, inner = made[id(node.layer)]
            for index, tensor in enumerate(node.outputs):
                places[id(tensor)] = (part["name"], len(part["inbound_nodes"]), index)
                numbers[id(tensor)] = len(numbers)
            part["inbound_nodes"].append(_call(node.layer, [_tensor(t, places[id(t)]) for t in node.inputs]))
            read = [numbers[id(tensor)] for tensor in node.inputs]
            written = [numbers[id(tensor)] for tensor in node.outputs]
            flow.calls.append(Step(part["class_name"], node.layer, read, written, inner))
        flow.inputs = [numbers[id(tensor)] for tensor in model.inputs]
        flow.outputs = [numbers[id(tensor)] for tensor in model.outputs]
        config = {
            "layers": [*parts, *(part for part, _ in made.values())],
            "input_layers": _ends([places[id(tensor)] for tensor in model.inputs]),
            "output_layers": _ends([places[id(tensor)] for tensor in model.outputs]),
        }
        return described("Functional", config, model.name, model.dtype.name), flow


def _ends(places: list[tuple[str, int, int]]) -> list[Any]:
    """Return the arrays of a model's ends; a single one stands for itself, as a list would be a list of one array."""
    return list(places[0]) if len(places) == 1 else [list(place) for place in places]


def _list(shape: Any) -> list[int | None]:
    return list(shape)


def _input(name: str, shape: list[int | None], dtype: str, taken: list[Layer]) -> dict[str, Any]:
    """Return an InputLayer of a name that no layer has."""
    known = {layer.name for layer in taken}
    while name in known:
        name = f"{name}_input"
    config = {"batch_shape": shape, "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    parts: dict[str, Any] = {
        "class_name": "InputLayer",
        "config": config,
        "registered_name": None,
        "name": name,
        "inbound_nodes": [],
    }
    return {"module": "keras.layers", **parts}


def _tensor(tensor: SymbolicTensor, place: tuple[str, int, int]) -> dict[str, Any]:
    config = {"shape": _list(tensor.shape), "dtype": tensor.dtype.name, "keras_history": list(place)}
    return {"class_name": "__keras_tensor__", "config": config}


def _call(layer: Layer, tensors: list[dict[str, Any]]) -> dict[str, Any]:
    if layer.merges:
        return {"args": [tensors], "kwargs": {}}
    states = {"initial_state": tensors[1:]} if len(tensors) > 1 else {}
    return {"args": tensors[:1], "kwargs": states}
