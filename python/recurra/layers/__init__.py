"""Layers: three verbs each (`Layer`), parameters as views into one flat buffer."""

from __future__ import annotations

from typing import Any

from recurra import _errors, _objects
from recurra.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from recurra.layers.attention import AdditiveAttention, Attention
from recurra.layers.base import Layer
from recurra.layers.batch_normalization import BatchNormalization
from recurra.layers.bidirectional import Bidirectional
from recurra.layers.cell_rnn import CellRNN
from recurra.layers.cells import CELLS, Cell, GRUCell, LSTMCell, SimpleRNNCell
from recurra.layers.conv import Conv1D
from recurra.layers.crf import CRF
from recurra.layers.dense import Dense
from recurra.layers.dropout import Dropout
from recurra.layers.embedding import Embedding
from recurra.layers.feature_normalization import Normalization
from recurra.layers.gru import GRU
from recurra.layers.joining import Concatenate, Dot
from recurra.layers.lstm import LSTM
from recurra.layers.masking import Masking
from recurra.layers.merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from recurra.layers.noise import GaussianDropout, GaussianNoise, SpatialDropout1D
from recurra.layers.normalization import LayerNormalization
from recurra.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from recurra.layers.recurrent import Recurrent
from recurra.layers.resampling import Cropping1D, UpSampling1D, ZeroPadding1D
from recurra.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from recurra.layers.rnn import RNN
from recurra.layers.stacked import RecurrentStack, StackedRNNCells
from recurra.layers.time_distributed import TimeDistributed
from recurra.layers.trace import Trace

SimpleRNN = RNN

# Every layer that a file may name, by its class's name.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        RNN,
        LSTM,
        GRU,
        Bidirectional,
        Dense,
        Dropout,
        Conv1D,
        Attention,
        AdditiveAttention,
        RecurrentStack,
        CellRNN,
        CRF,
        Activation,
        Add,
        Average,
        AveragePooling1D,
        BatchNormalization,
        Concatenate,
        Cropping1D,
        Dot,
        ELU,
        Embedding,
        Flatten,
        GaussianDropout,
        GaussianNoise,
        GlobalAveragePooling1D,
        GlobalMaxPooling1D,
        LayerNormalization,
        LeakyReLU,
        Masking,
        MaxPooling1D,
        Maximum,
        Minimum,
        Multiply,
        Normalization,
        Permute,
        ReLU,
        RepeatVector,
        Reshape,
        Softmax,
        SpatialDropout1D,
        Subtract,
        TimeDistributed,
        UpSampling1D,
        ZeroPadding1D,
    )
}

__all__ = [
    "CRF",
    "ELU",
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "BatchNormalization",
    "Bidirectional",
    "Cell",
    "CellRNN",
    "Concatenate",
    "Conv1D",
    "Cropping1D",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "Permute",
    "ReLU",
    "Recurrent",
    "RecurrentStack",
    "RepeatVector",
    "Reshape",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "Trace",
    "UpSampling1D",
    "ZeroPadding1D",
    "deserialize",
    "serialize",
]


def serialize(layer: Layer) -> dict[str, Any]:
    """Return a layer's class and arguments as ``{"class_name": ..., "config": ...}``, with the name it has now."""
    config = layer.get_config()
    if "name" in config:
        config["name"] = layer.name
    flags = layer._flags()
    frozen = {} if all(flags) else {"trainable": flags if any(flags) else False}
    return {"class_name": type(layer).__name__, "config": config, **_objects.origin(type(layer)), **frozen}


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
    if name not in (custom_objects or {}):
        _objects.check_origin("class_name", description)
    try:
        layer: Layer = _made(known[name].from_config, description["config"], custom_objects)
    except TypeError as error:
        raise _errors.bad_value("config", f"arguments of {name}", str(error)) from error
    flags = description.get("trainable", True)
    if isinstance(flags, list):
        layer._set_flags(flags)
    elif flags is not True:
        layer.trainable = flags
    return layer


def _made(from_config: Any, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None) -> Any:
    """Return the layer of a configuration; what holds other layers is told of those of one's own."""
    from inspect import signature

    own = {"custom_objects": custom_objects} if "custom_objects" in signature(from_config).parameters else {}
    return from_config(config, **own)
