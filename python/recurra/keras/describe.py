"""Our layers as Keras 3's configurations: the rows of `recurra.keras.rows`, read from right to left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra import _errors, activations, layers
from recurra.keras import cells
from recurra.keras.rows import CELLS, ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra.layers.base import Layer

_SAME = {
    "identity": "linear",
    **{name: name for name in ("tanh", "sigmoid", "relu", "softsign", "softplus", "softmax")},
}
_NAMED = {
    activations.elu(): "elu",
    activations.hard_sigmoid(): "hard_sigmoid",
    activations.leaky_relu(0.2): "leaky_relu",
}
_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}
# Keras's class for those of ours that are made by other functions there.
_CLASSES = {row.make: kind for kind, row in ROWS.items() if not kind.startswith("CuDNN")}


def described(kind: str, config: dict[str, Any], name: str, dtype: str) -> dict[str, Any]:
    """Return a part of a configuration: a layer's class and options."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": dtype}, "registered_name": None}
    module = _MODULES.get(kind, "keras.layers")
    base = {"name": name, "trainable": True, "dtype": policy}
    return {"module": module, "class_name": kind, "config": {**base, **config}, "registered_name": None, "name": name}


def layer_config(layer: Layer) -> tuple[str, dict[str, Any]]:
    """Return Keras's class and options of a layer that holds no others.

    Raises
    ------
    ValueError
        If Keras has no such layer, or lacks an option.
    """
    if type(layer) is layers.Activation:
        return _activation(layer)
    if isinstance(layer, layers.Recurrent):
        return _recurrent(layer)
    kind = _CLASSES.get(type(layer))
    if kind is None or type(layer).__name__ != kind:
        known = ", ".join(sorted(one.__name__ for one in _CLASSES if isinstance(one, type)))
        raise _errors.bad_value(
            "layer", f"one of {known}", f"{type(layer).__name__} {layer.name!r}", "Keras has no such"
        )
    ours = layer.get_config()
    if isinstance(layer, layers.Normalization) and layer.mean is not None:
        ours.update({name: layer.parameters[name].tolist() for name in ("mean", "variance")})  # as they are now
    if isinstance(layer, layers.GaussianNoise) and layer.stddev > 1:
        raise _errors.bad_value("layer", "a stddev of at most 1, as in Keras", f"{layer.stddev} in {layer.name!r}")
    return kind, options_of(layer, ROWS[kind], ours)


def options_of(layer: Layer, row: Row, ours: dict[str, Any]) -> dict[str, Any]:
    """Return Keras's options for our arguments."""
    found = {key: ours[key] for key in row.same if key in ours}
    for theirs, name in row.renamed.items():
        found[theirs] = ours[name]
        if theirs == "alpha":
            del found[theirs]  # Keras 2's name
    for key in row.activations:
        found[key] = _name(layer, ours[key])
    for key, axes in row.weights.items():
        for part, module in (("initializer", "initializers"), ("regularizer", "regularizers"),
                             ("constraint", "constraints")):  # fmt: skip
            if f"{key}_{part}" in ours:
                found[f"{key}_{part}"] = _object(layer, ours[f"{key}_{part}"], module, axes)
    return found


def _name(layer: Layer, value: Any) -> str:
    """Return the name of an activation."""
    found = layers.Activation(value).activation
    name = _SAME.get(found.name) or _NAMED.get(found)
    if name is None:
        known = ", ".join([*_SAME.values(), *_NAMED.values()])
        got = f"{found.name}({found.alpha}, {found.beta}) in {layer.name!r}"
        raise _errors.bad_value("activation", f"one of Keras 3's, with its numbers: {known}", got)
    return name


def _object(layer: Layer, value: Any, module: str, axes: int) -> Any:
    """Return an initializer, regularizer or constraint as Keras writes them."""
    if value is None or (isinstance(value, str) and value != "pytorch_uniform"):
        return value
    if not isinstance(value, dict) or value.get("class_name") == "OrthogonalRegularizer":
        if module == "initializers":
            return None  # the values are in the file
        raise _errors.bad_value(module, "those of Keras", f"{value!r} in {layer.name!r}")
    config = dict(value["config"])
    if "axis" in config:
        config["axis"] = axes - 1 - config["axis"] % axes
    parts = {"class_name": value["class_name"], "config": config, "registered_name": None}
    return {"module": f"keras.{module}", **parts}


def _activation(layer: Any) -> tuple[str, dict[str, Any]]:
    name, alpha, beta = layer.activation
    made: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
        "leaky_relu": lambda: ("LeakyReLU", {"negative_slope": alpha}),
        "elu": lambda: ("ELU", {"alpha": alpha}),
        "affine": lambda: ("Rescaling", {"scale": alpha, "offset": beta}),
    }
    if name in made and layer.activation not in _NAMED:
        return made[name]()
    return "Activation", {"activation": _name(layer, layer.activation)}


def _recurrent(layer: layers.Recurrent) -> tuple[str, dict[str, Any]]:
    cells.check_expressible(layer, "layer")
    kind = cells.CLASSES[layer.cell]
    ours = layer.get_config() if type(layer) is not layers.Bidirectional else layer.pattern.get_config()
    found = options_of(layer, ROWS[kind], ours)
    flow = {key: found[key] for key in ("return_sequences", "return_state", "go_backwards")}
    if layer.directions == 2:
        inner = {**found, **_padding(layer)}
        sides = {}
        for side, backwards in (("layer", False), ("backward_layer", True)):
            name = f"{'backward' if backwards else 'forward'}_{layer.name}"
            sides[side] = described(kind, {**inner, "go_backwards": backwards}, name, layer.dtype.name)
        return "Bidirectional", {"merge_mode": layer.options["merge_mode"], **sides}
    if layer.of_cell:
        return "RNN", {"cell": cell_config(layer), **flow, **_padding(layer)}
    return kind, {**found, **_padding(layer)}


def _padding(layer: Any) -> dict[str, bool]:
    """Return the option for 0 at steps that do not count; the last output of padded sequences would be 0 by it, too."""
    return {"zero_output_for_mask": layer.return_sequences}


def cell_config(layer: layers.Recurrent) -> dict[str, Any]:
    """Return the cell of a layer as a part of a configuration."""
    cells.check_expressible(layer, "layer")
    kind = f"{cells.CLASSES[layer.cell]}Cell"
    return described(kind, options_of(layer, CELLS[kind], layer.get_config()), layer.name, layer.dtype.name)


def stack_config(layer: layers.RecurrentStack) -> dict[str, Any]:
    """Return the options of Keras's RNN around the cells of a stack."""
    inner = []
    for one in layer.layers:
        if not isinstance(one, layers.Recurrent):
            raise _errors.bad_value("layer", "cells that Keras has", f"{one.name!r} in {layer.name!r}")
        inner.append(cell_config(one))
    flow = {key: getattr(layer, key) for key in ("return_sequences", "return_state", "go_backwards")}
    cell = described("StackedRNNCells", {"cells": inner}, f"{layer.name}_cells", layer.dtype.name)
    return {"cell": cell, **flow, **_padding(layer)}
