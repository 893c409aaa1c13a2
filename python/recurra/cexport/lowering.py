"""From layers to operations: the table of what a C file can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, layers
from recurra.cexport import pointwise, sequences
from recurra.cexport.maths import literal
from recurra.cexport.operations import EACH, Value
from recurra.cexport.steps import constant
from recurra.models.functional import Functional
from recurra.models.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra.cexport.operations import Operation
    from recurra.layers.base import Layer

    # (program, layer, values read) to the values it returns
    Lowering = Callable[["Program", Any, list[Value]], list[Value]]


class Program:
    """The operations of a model, in the order in which they compute.

    Attributes
    ----------
    operations : list of Operation
        So far.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def add(self, operation: Operation) -> list[Value]:
        """Append an operation; return what it makes, as a list."""
        self.operations.append(operation)
        return [operation.makes]

    def lower(self, layer: Layer, reads: list[Value]) -> list[Value]:
        """Append the operations of a layer; return the values it returns.

        Raises
        ------
        ValueError
            If a C file cannot hold it.
        """
        if isinstance(layer, Sequential):
            return _chain(self, layer, reads)
        if isinstance(layer, Functional):
            return _graph(self, layer, reads)
        lowering = LOWERINGS.get(type(layer).__name__) if type(layer).__module__.startswith("recurra.") else None
        if lowering is None:
            raise refused(layer, f"a layer of class {type(layer).__name__}")
        return lowering(self, layer, reads)


def refused(layer: Layer, what: str) -> ValueError:
    """Return the error of a layer that a C file cannot hold."""
    hint = "docs/one-file-c.md lists them"
    return _errors.bad_value("model", "layers that a C file can hold", f"{layer.name!r}, {what}", hint)


def _chain(program: Program, model: Sequential, reads: list[Value]) -> list[Value]:
    for layer in model.layers:
        reads = program.lower(layer, reads)
    return reads


def _graph(program: Program, model: Functional, reads: list[Value]) -> list[Value]:
    known = {id(tensor): value for tensor, value in zip(model.inputs, reads, strict=True)}
    for node in model.nodes:
        made = program.lower(node.layer, [known[id(tensor)] for tensor in node.inputs])
        known.update({id(tensor): value for tensor, value in zip(node.outputs, made, strict=True)})
    return [known[id(tensor)] for tensor in model.outputs]


# Layers of one step


def _same(program: Program, layer: Layer, reads: list[Value]) -> list[Value]:
    return reads


def _dense(program: Program, layer: layers.Dense, reads: list[Value]) -> list[Value]:
    views = layer._views[0]
    made = pointwise.Product(reads[0], layer.name, views["weight"], views.get("bias"), layer.activation)
    return program.add(made)


def _activation(program: Program, layer: layers.Activation, reads: list[Value]) -> list[Value]:
    if layer.activation.name == "identity":
        return reads
    return program.add(pointwise.Activate(reads[0], layer.name, layer.activation))


def _relu(program: Program, layer: layers.ReLU, reads: list[Value]) -> list[Value]:
    slope, threshold = layer.negative_slope, literal(layer.threshold)
    below = f"{literal(slope)} * (x[j] - {threshold})" if slope else "0.0f"
    text = f"x[j] > {threshold} ? x[j] : {below}"
    if layer.max_value is not None:
        most = literal(layer.max_value)
        text = f"x[j] >= {most} ? {most} : ({text})"
    return program.add(pointwise.Formula(reads[0], layer.name, text))


def _softmax(program: Program, layer: layers.Softmax, reads: list[Value]) -> list[Value]:
    x = reads[0]
    last = 1 if x.steps is None else 2
    if layer.axis in (-1, last):
        from recurra.activations import Activation

        return program.add(pointwise.Activate(x, layer.name, Activation("softmax")))
    if x.steps is not None and layer.axis in (1, -2):
        return program.add(sequences.SoftmaxOverTime(x))
    raise refused(layer, f"axis={layer.axis}")


def _layer_normalization(program: Program, layer: layers.LayerNormalization, reads: list[Value]) -> list[Value]:
    views = layer._views[0]
    normalise = pointwise.Normalise(reads[0], layer.name, layer.epsilon, views.get("gamma"), views.get("beta"))
    return program.add(normalise)


def _batch_normalization(program: Program, layer: layers.BatchNormalization, reads: list[Value]) -> list[Value]:
    views = {name: view.astype(np.float64) for name, view in layer._views[0].items()}
    scale = views.get("gamma", 1.0) / np.sqrt(views["moving_variance"] + layer.epsilon)
    shift = views.get("beta", 0.0) - views["moving_mean"] * scale
    return program.add(pointwise.Affine(reads[0], layer.name, scale, shift))


def _normalization(program: Program, layer: layers.Normalization, reads: list[Value]) -> list[Value]:
    mean = layer._views[0]["mean"].astype(np.float64)
    deviation = layer._deviation().astype(np.float64)
    scale, shift = (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
    return program.add(pointwise.Affine(reads[0], layer.name, scale, shift))


def _embedding(program: Program, layer: layers.Embedding, reads: list[Value]) -> list[Value]:
    if reads[0].width != 1 or reads[0].kind == "float":
        raise refused(layer, "integers of more axes than (batch, time)")
    return program.add(pointwise.LookUp(reads[0], layer.name, layer._views[0]["embeddings"]))


def _masking(program: Program, layer: layers.Masking, reads: list[Value]) -> list[Value]:
    return program.add(pointwise.Mask(reads[0], layer.name, layer.mask_value))


def _time_distributed(program: Program, layer: layers.TimeDistributed, reads: list[Value]) -> list[Value]:
    inner = layer.layer
    alone = inner.layers if isinstance(inner, Sequential) else [inner]
    if not all(one.pointwise for one in alone):
        raise refused(layer, f"of {inner.name!r}, which does not treat each step as Dense does")
    return program.lower(inner, reads)


# Layers of time


def _recurrent(program: Program, layer: layers.Recurrent, reads: list[Value]) -> list[Value]:
    x, given = reads[0], reads[1:]
    count = layer.options["num_layers"]
    kinds = layer.directions * (2 if layer.cell == "lstm" else 1)
    states: list[Value] = []
    made = [x]
    for number in range(count):
        name = layer.name if count == 1 else f"{layer.name}_l{number}"
        own = given[number * kinds : (number + 1) * kinds]
        one = sequences.Recurrence(made[0], layer, number, own, name)
        made = program.add(one)
        states += [value for _, _, value in one.states]
    return [*made, *states] if layer.return_state else made


def _stack(program: Program, layer: layers.RecurrentStack, reads: list[Value]) -> list[Value]:
    if len(reads) > 1:
        raise refused(layer, "given initial states")
    made, states = reads, []
    for inner in layer.layers:
        if not isinstance(inner, layers.Recurrent):
            raise refused(layer, f"holding {inner.name!r}, a cell of your own")
        made, more = (found := _recurrent(program, inner, made))[:1], found[1:]
        states += more
    return [*made, *states] if layer.return_state else made


def _conv(program: Program, layer: layers.Conv1D, reads: list[Value]) -> list[Value]:
    return program.add(sequences.Convolution(reads[0], layer, layer.name))


def _pool(program: Program, layer: Any, reads: list[Value]) -> list[Value]:
    largest = isinstance(layer, layers.MaxPooling1D)
    return program.add(sequences.Pool(reads[0], layer.pool_size, layer.strides, layer.padding, largest))


def _pool_all(program: Program, layer: Any, reads: list[Value]) -> list[Value]:
    largest = isinstance(layer, layers.GlobalMaxPooling1D)
    return program.add(sequences.PoolAll(reads[0], largest, layer.keepdims))


def _pad(program: Program, layer: Any, reads: list[Value]) -> list[Value]:
    sign = -1 if isinstance(layer, layers.Cropping1D) else 1
    return program.add(sequences.Pad(reads[0], sign * layer.start, sign * layer.end))


def _repeat(program: Program, layer: Any, reads: list[Value]) -> list[Value]:
    count = layer.n if isinstance(layer, layers.RepeatVector) else layer.repeats
    return program.add(sequences.Repeat(reads[0], count))


# Layers of shape


def _reshaped(program: Program, layer: Layer, reads: list[Value]) -> list[Value]:
    """Flatten and Reshape: the same numbers in the same order, read as other rows."""
    x = reads[0]
    shape = layer.compute_output_shape((None, *(() if x.steps is None else (x.steps.fixed,)), x.width))[1:]
    if len(shape) > 2 or any(size is None for size in shape):
        raise refused(layer, f"to shape {('batch', *shape)}")
    return program.add(sequences.Reshaped([x], shape[-1] or 0, constant(shape[0] or 0) if len(shape) == 2 else None))


def _permute(program: Program, layer: layers.Permute, reads: list[Value]) -> list[Value]:
    if layer.dims in ((1,), (1, 2)):
        return reads
    if layer.dims != (2, 1) or not reads[0].rows:
        raise refused(layer, f"dims={layer.dims}")
    return program.add(sequences.Transpose(reads[0]))


# Layers of several inputs


def _merge(program: Program, layer: Layer, reads: list[Value]) -> list[Value]:
    return program.add(pointwise.Merge(reads, layer.name, type(layer).__name__))


def _concatenate(program: Program, layer: layers.Concatenate, reads: list[Value]) -> list[Value]:
    last = 1 if reads[0].steps is None else 2
    if layer.axis in (-1, last):
        return program.add(pointwise.Beside(reads))
    return program.add(sequences.Behind(reads))


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(("RNN", "LSTM", "GRU", "Bidirectional"), _recurrent),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout"), _same),
    **dict.fromkeys(("Activation", "LeakyReLU", "ELU"), _activation),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _merge),
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), _pool),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalAveragePooling1D"), _pool_all),
    **dict.fromkeys(("ZeroPadding1D", "Cropping1D"), _pad),
    **dict.fromkeys(("RepeatVector", "UpSampling1D"), _repeat),
    **dict.fromkeys(("Flatten", "Reshape"), _reshaped),
    "RecurrentStack": _stack,
    "Dense": _dense,
    "ReLU": _relu,
    "Softmax": _softmax,
    "LayerNormalization": _layer_normalization,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Embedding": _embedding,
    "Masking": _masking,
    "TimeDistributed": _time_distributed,
    "Conv1D": _conv,
    "Permute": _permute,
    "Concatenate": _concatenate,
}
"""What each layer becomes, by the name of its class; models inside a model are taken apart."""


def streams(program: Program) -> bool:
    """Return whether the program can run step by step."""
    for operation in program.operations:
        phases = {value.phase for value in operation.reads}
        late = max(phases) > EACH  # after the last step: nothing of a single step may be needed with it
        if not operation.streams or (late and EACH in phases) or (late and operation.makes.steps is not None):
            return False
    return True
