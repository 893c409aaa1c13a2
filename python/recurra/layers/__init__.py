"""Layers: three verbs each (`Layer`), parameters as views into one flat buffer."""

from __future__ import annotations

from typing import Any

from recurra import _errors
from recurra.layers.base import Layer
from recurra.layers.bidirectional import Bidirectional
from recurra.layers.dense import Dense
from recurra.layers.dropout import Dropout
from recurra.layers.gru import GRU
from recurra.layers.lstm import LSTM
from recurra.layers.recurrent import Recurrent
from recurra.layers.rnn import RNN
from recurra.layers.trace import Trace

SimpleRNN = RNN

# Every layer that a file may name, by its class's name.
LAYERS: dict[str, type[Layer]] = {layer.__name__: layer for layer in (RNN, LSTM, GRU, Bidirectional, Dense, Dropout)}

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Dense",
    "Dropout",
    "Layer",
    "Recurrent",
    "SimpleRNN",
    "Trace",
    "deserialize",
    "serialize",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return a layer's class and arguments as ``{"class_name": ..., "config": ...}``, with the name it has now."""
    config = layer.get_config()
    if "name" in config:
        config["name"] = layer.name
    frozen = {} if layer.trainable else {"trainable": False}
    return {"class_name": type(layer).__name__, "config": config, **frozen}


def deserialize(description: Any, custom_objects: dict[str, type[Layer]] | None = None) -> Layer:
    """Return a new layer from what `serialize` returned.

    Parameters
    ----------
    description : dict
        From `serialize`.
    custom_objects : dict of str to type, optional
        Layers of one's own, by the name of their class.

    Raises
    ------
    ValueError
        If the description names no known layer, or arguments that it does not take.
    """
    from recurra.models import MODELS

    known: dict[str, Any] = {**LAYERS, **MODELS, **(custom_objects or {})}
    if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
        raise _errors.bad_value("config", "a layer's class_name and config", description)
    name = _errors.check_choice("class_name", description.get("class_name"), known)
    try:
        layer: Layer = known[name].from_config(description["config"])
    except TypeError as error:
        raise _errors.bad_value("config", f"arguments of {name}", str(error)) from error
    layer.trainable = description.get("trainable", True)
    return layer
