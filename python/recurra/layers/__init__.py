"""Layers: three verbs each (`Layer`), parameters as views into one flat buffer."""

from __future__ import annotations

from typing import Any

from recurra import _errors
from recurra.layers.attention import AdditiveAttention, Attention
from recurra.layers.base import Layer
from recurra.layers.bidirectional import Bidirectional
from recurra.layers.cell_rnn import CellRNN
from recurra.layers.cells import CELLS, Cell, GRUCell, LSTMCell, SimpleRNNCell
from recurra.layers.conv import Conv1D
from recurra.layers.dense import Dense
from recurra.layers.dropout import Dropout
from recurra.layers.gru import GRU
from recurra.layers.lstm import LSTM
from recurra.layers.recurrent import Recurrent
from recurra.layers.rnn import RNN
from recurra.layers.stacked import RecurrentStack, StackedRNNCells
from recurra.layers.trace import Trace

SimpleRNN = RNN

# Every layer that a file may name, by its class's name.
LAYERS: dict[str, type[Layer]] = {layer.__name__: layer for layer in (RNN, LSTM, GRU, Bidirectional, Dense, Dropout)}
LAYERS.update({layer.__name__: layer for layer in (Conv1D, Attention, AdditiveAttention, RecurrentStack, CellRNN)})

__all__ = [
    "CELLS",
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "Cell",
    "CellRNN",
    "Conv1D",
    "Dense",
    "Dropout",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "Recurrent",
    "RecurrentStack",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
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

    known: dict[str, Any] = {**LAYERS, **CELLS, **MODELS, **(custom_objects or {})}
    if not isinstance(description, dict) or not isinstance(description.get("config"), dict):
        raise _errors.bad_value("config", "a layer's class_name and config", description)
    name = _errors.check_choice("class_name", description.get("class_name"), known)
    try:
        layer: Layer = _made(known[name].from_config, description["config"], custom_objects)
    except TypeError as error:
        raise _errors.bad_value("config", f"arguments of {name}", str(error)) from error
    layer.trainable = description.get("trainable", True)
    return layer


def _made(from_config: Any, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None) -> Any:
    """Return the layer of a configuration; what holds other layers is told of those of one's own."""
    from inspect import signature

    own = {"custom_objects": custom_objects} if "custom_objects" in signature(from_config).parameters else {}
    return from_config(config, **own)
