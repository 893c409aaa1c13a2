"""Which layer becomes which operators: the table, and the calls of layers within layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from recurra import _errors, layers, models
from recurra.layers.symbolic import SymbolicTensor
from recurra.onnx.export import attention, merging, moving, normalization, plain, recurrent, windows
from recurra.onnx.export.graph import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recurra.layers.base import Layer
    from recurra.onnx.export.graph import Scope

    Emitter = Callable[[Any, list[Value], Scope], Any]


def _kept(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    return inputs[0].lengths


def _dropped(layer: Any, inputs: list[Value], scope: Scope) -> None:
    return None


class Rule(NamedTuple):
    """How a layer is written.

    Attributes
    ----------
    emit : callable
        From (layer, inputs, scope) to the name of the output, or the list of names.
    lengths : callable
        From the same to the name of the lengths of the (first) output, or None.
    """

    emit: Emitter
    lengths: Emitter = _kept


def _recurrent_lengths(layer: Any, inputs: list[Value], scope: Scope) -> str | None:
    last = layer.layers[-1] if isinstance(layer, layers.RecurrentStack) else layer
    return inputs[0].lengths if last.return_sequences else None


def _time_distributed(layer: Any, inputs: list[Value], scope: Scope) -> str:
    """Emit a `TimeDistributed`: all steps as one batch, or as they are where the layer looks at each alone."""
    x, inner = inputs[0], layer.layer
    shape = layer.compute_output_shape(x.shape)
    if inner.pointwise and not isinstance(inner, models.Sequential):
        y = emit(inner, [x._replace(lengths=None)], scope.inside(inner))[0].name
    else:
        rows = Value(moving.rows(x.name, x.rank, scope), (None, *x.shape[2:]), x.dtype)
        y = emit(inner, [rows], scope.inside(inner))[0].name
        y = moving.steps_of(y, len(shape) - 1, x.name, scope)
    return scope.kept(Value(y, shape, layer.dtype), x.lengths)


def _sequential(model: Any, inputs: list[Value], scope: Scope) -> list[Value]:
    for layer in model.layers:
        inputs = emit(layer, inputs, scope.inside(layer))
    return inputs


def _functional(model: Any, inputs: list[Value], scope: Scope) -> list[Value]:
    known = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in model.nodes:
        given = [known[id(tensor)] for tensor in node.inputs]
        made = emit(node.layer, given, scope.inside(node.layer))
        known.update({id(tensor): value for tensor, value in zip(node.outputs, made, strict=True)})
    return [known[id(tensor)] for tensor in model.outputs]


_RECURRENT = Rule(recurrent.recurrent, _recurrent_lengths)
_SAME = Rule(plain.same)
_ELEMENTWISE = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Maximum": "Max", "Minimum": "Min"}

RULES: dict[type[Layer], Rule] = {
    **dict.fromkeys((layers.RNN, layers.LSTM, layers.GRU, layers.Bidirectional), _RECURRENT),
    layers.RecurrentStack: Rule(recurrent.stack, _recurrent_lengths),
    layers.Dense: Rule(plain.dense),
    layers.Embedding: Rule(plain.embedding, plain.embedding_lengths),
    layers.Masking: Rule(plain.masking, plain.masking_lengths),
    layers.CRF: Rule(plain.crf),
    **dict.fromkeys((layers.Activation, layers.ELU, layers.LeakyReLU), Rule(plain.activation)),
    layers.ReLU: Rule(plain.relu),
    layers.Softmax: Rule(plain.softmax),
    **dict.fromkeys((layers.Dropout, layers.SpatialDropout1D, layers.GaussianNoise, layers.GaussianDropout), _SAME),
    layers.Conv1D: Rule(windows.conv, windows.conv_lengths),
    layers.MaxPooling1D: Rule(windows.max_pooling, windows.pooling_lengths),
    layers.AveragePooling1D: Rule(windows.average_pooling, windows.pooling_lengths),
    layers.GlobalAveragePooling1D: Rule(windows.global_average, _dropped),
    layers.GlobalMaxPooling1D: Rule(windows.global_max, _dropped),
    layers.LayerNormalization: Rule(normalization.layer_normalization),
    layers.BatchNormalization: Rule(normalization.batch_normalization),
    layers.Normalization: Rule(normalization.normalization),
    layers.Flatten: Rule(moving.flatten, _dropped),
    layers.Reshape: Rule(moving.reshape, _dropped),
    layers.Permute: Rule(moving.permute, moving.permute_lengths),
    layers.RepeatVector: Rule(moving.repeat_vector, _dropped),
    layers.ZeroPadding1D: Rule(moving.zero_padding, moving.zero_padding_lengths),
    layers.Cropping1D: Rule(moving.cropping, moving.cropping_lengths),
    layers.UpSampling1D: Rule(moving.up_sampling, moving.up_sampling_lengths),
    **{
        layers.LAYERS[name]: Rule(merging.elementwise(op), merging.elementwise_lengths)
        for name, op in _ELEMENTWISE.items()
    },
    layers.Average: Rule(merging.average, merging.elementwise_lengths),
    layers.Concatenate: Rule(merging.concatenate, merging.concatenate_lengths),
    layers.Dot: Rule(merging.dot, _dropped),
    **dict.fromkeys((layers.Attention, layers.AdditiveAttention), Rule(attention.attention)),
    layers.TimeDistributed: Rule(_time_distributed),
}
MODELS: dict[type[Layer], Emitter] = {models.Sequential: _sequential, models.Functional: _functional}

# Layers that are not written, and why.
REFUSED: dict[type[Layer], str] = {
    layers.CellRNN: "its cell is a Python loop; LSTM, GRU and RNN are written",
    models.Seq2Seq: "it generates step by step; write models drawn of its encoder and decoder",
}


def emit(layer: Any, inputs: list[Value], scope: Scope) -> list[Value]:
    """Write one call of a layer and return its outputs.

    Raises
    ------
    ValueError
        If ONNX has no operators for the layer or one of its options; the layer is named.
    """
    if type(layer) in MODELS:
        outputs: list[Value] = MODELS[type(layer)](layer, inputs, scope)
        return outputs
    rule = RULES.get(type(layer))
    if rule is None:
        raise _refusal(layer)
    names = rule.emit(layer, inputs, scope)
    listed: Sequence[str] = [names] if isinstance(names, str) else names
    shapes = layer._output_shapes([value.shape for value in inputs] if layer.merges else inputs[0].shape)
    lengths = [rule.lengths(layer, inputs, scope), *(None,) * (len(listed) - 1)]
    return [Value(name, shape, layer.dtype, some) for name, shape, some in zip(listed, shapes, lengths, strict=True)]


def _refusal(layer: Any) -> ValueError:
    """Return the error of a layer without a rule."""
    hint = REFUSED.get(type(layer), "layers and models of classes of one's own have no operators in ONNX")
    what = f"{type(layer).__name__} {layer.name!r}"
    return _errors.bad_value("model", "layers that ONNX's operators can say", what, hint)


def inputs_of(model: Any) -> list[tuple[str, Any, Any]]:
    """Return name, shape and dtype of each input of a model."""
    import numpy as np

    tensors: list[SymbolicTensor] = getattr(model, "inputs", None) or []
    if tensors:
        return [(name, t.shape, t.dtype) for name, t in zip(model.input_names, tensors, strict=True)]
    dtype = np.dtype(np.int64) if model.integer_input else model.dtype
    return [(model.input_names[0], model.input_shape, dtype)]
