"""Products, sums and activations as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.onnx.native.shapes import multiply_sizes
from recurra.onnx.native.values import Call, Const, Data, Filled, Sizes, Unmatched

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.graph import Node
    from recurra.onnx.native.reader import Reader
    from recurra.onnx.native.values import Meaning

# Operators that are one of recurra's activations, and the attributes that are its numbers.
ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Relu": ("relu", ()),
    "Tanh": ("tanh", ()),
    "Sigmoid": ("sigmoid", ()),
    "Softsign": ("softsign", ()),
    "Softplus": ("softplus", ()),
    "Elu": ("elu", ("alpha",)),
    "LeakyRelu": ("leaky_relu", ("alpha",)),
    "ThresholdedRelu": ("thresholded_relu", ("alpha",)),
    "HardSigmoid": ("hard_sigmoid", ("alpha", "beta")),
}
MERGES = {"Add": "Add", "Sub": "Subtract", "Mul": "Multiply", "Max": "Maximum", "Min": "Minimum", "Mean": "Average"}


def real(value: Meaning) -> Data:
    """Return an array of real numbers."""
    if not isinstance(value, Data) or value.ref.integers:
        raise Unmatched("no array of real numbers")
    return value


def weights(value: Meaning, reader: Reader) -> Array:
    """Return numbers of the file in the model's dtype."""
    if not isinstance(value, Const) or value.array.dtype != reader.dtype:
        raise Unmatched("no numbers of the file")
    return value.array


def on_each(x: Data, call: Call, reader: Reader, width: int | None = None) -> Data:
    """Return what a layer makes of each row or number of an array, its axes as they lie."""
    sizes = x.ref.sizes if width is None else (*x.ref.sizes[:-1], width)
    return x.on(reader.result(call, sizes))


def _dense(node: Node, x: Data, table: Array, name: str, reader: Reader) -> Data:
    """Return the product with a table (features, outputs)."""
    from recurra.layers import Dense

    x = reader.with_last(x, len(x.axes) - 1)
    if table.ndim != 2 or x.ref.rank < 2 or table.shape[0] != x.ref.sizes[-1]:
        raise Unmatched("a product of another form")
    call = Call(Dense, [x.ref], {"weight": table.T}, reader.name(node, name), kind="linear")
    call.options = {"units": int(table.shape[1]), "use_bias": False}
    return on_each(x, call, reader, int(table.shape[1]))


def matmul(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A product with a table."""
    name = values[1].name if isinstance(values[1], Const) else ""
    return _dense(node, real(values[0]), weights(values[1], reader), name, reader)


def gemm(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A product with a table, and a bias."""
    x, given = real(values[0]), node.attributes
    if len(x.axes) != 2 or given["transA"] or given["alpha"] != 1.0:
        raise Unmatched("a product of another form")
    table = weights(values[1], reader)
    name = values[1].name if isinstance(values[1], Const) else ""
    y = _dense(node, x, table.T if given["transB"] else table, name, reader)
    bias = values[2] if len(values) > 2 else None
    if bias is None or given["beta"] == 0.0:
        return y
    if given["beta"] != 1.0 or not _biased(y, weights(bias, reader)):
        raise Unmatched("a bias of another form")
    return y


def _biased(y: Data, bias: Array) -> bool:
    """Give a linear layer a bias if these numbers are one, and say whether they are."""
    call, width = y.ref.call, y.ref.sizes[-1]
    if call is None or call.kind != "linear" or call.options["use_bias"] or y.axes[-1] != (y.ref.rank - 1,):
        return False
    if bias.size != width or bias.ndim > len(y.axes) or (bias.ndim and bias.shape[-1] != width):
        return False
    call.options["use_bias"], call.weights["bias"] = True, bias.reshape(-1)
    return True


def elementwise(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A bias, a number, or arrays value by value."""
    if any(isinstance(value, Sizes) for value in values) and node.op_type == "Mul":
        return multiply_sizes(values)
    found = [index for index, value in enumerate(values) if isinstance(value, Data)]
    if len(found) == len(values) and found:
        return _merged(node, [real(value) for value in values], reader)
    if len(values) != 2 or len(found) != 1:
        raise Unmatched("sums and products of something else")
    x, other = real(values[found[0]]), values[1 - found[0]]
    if isinstance(other, Filled):
        raise Unmatched("numbers of an unknown form")
    numbers = weights(other, reader)
    if node.op_type == "Add" and reader.once(node, found[0]) and _biased(x, numbers):
        return x
    if numbers.size != 1 or numbers.ndim > len(x.axes):
        raise Unmatched("a number for each feature")
    number, first = float(numbers.reshape(-1)[0]), found[0] == 0
    affine = {
        "Add": (1.0, number),
        "Mul": (number, 0.0),
        "Sub": (1.0, -number) if first else (-1.0, number),
    }.get(node.op_type)
    if affine is None:
        raise Unmatched("a number")
    return _activated(node, x, ("affine", *affine), reader)


def _merged(node: Node, parts: list[Data], reader: Reader) -> Data:
    """Return what a merging layer makes of arrays whose axes lie alike."""
    from recurra.layers import LAYERS

    first = parts[0]
    if (
        node.op_type not in MERGES
        or len(parts) < 2
        or any(part.axes != first.axes or part.split != 1 for part in parts)
    ):
        raise Unmatched("arrays whose axes lie otherwise")
    refs = [part.ref for part in parts]
    sizes = [next((size for size in along if size != 1), 1) for along in zip(*(ref.sizes for ref in refs), strict=True)]
    call = Call(LAYERS[MERGES[node.op_type]], refs, name=reader.name(node), merges=True)
    return first.on(reader.result(call, tuple(sizes)))


def _activated(node: Node, x: Data, activation: Any, reader: Reader) -> Data:
    """Return an activated array: within the linear layer that makes it, if nobody else reads that."""
    from recurra.layers import Activation

    call, place = x.ref.call, next(i for i, name in enumerate(node.inputs) if isinstance(reader.meanings[name], Data))
    plain = activation == "softmax" or activation[0] != "affine"
    if call is not None and call.kind == "linear" and plain and reader.once(node, place):
        call.options["activation"], call.kind = activation, ""
        return x
    made = Call(Activation, [x.ref], name=reader.name(node), options={"activation": activation})
    return on_each(x, made, reader)


def activation(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """An activation."""
    name, numbers = ACTIVATIONS[node.op_type]
    return _activated(node, real(values[0]), (name, *(node.attributes[key] for key in numbers)), reader)


def softmax(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """A softmax over one axis; before version 13 over all from it on, which is the same for the last."""
    x = real(values[0])
    axis = node.attributes["axis"] % len(x.axes)
    place = x.axes[axis]
    if node.version < 13 and axis != len(x.axes) - 1:
        raise Unmatched("a softmax over several axes")
    if place == (x.ref.rank - 1,):
        return _activated(node, x, "softmax", reader)
    if len(place) != 1 or not isinstance(place[0], int) or place[0] < 1:
        raise Unmatched("a softmax over the batch")
    from recurra.layers import Softmax

    return on_each(x, Call(Softmax, [x.ref], name=reader.name(node), options={"axis": place[0]}), reader)


def clip(node: Node, values: list[Meaning], reader: Reader) -> Meaning:
    """Bounds from 0."""
    from recurra.layers import ReLU

    low, high = (_bound(node, values, place, name) for place, name in ((1, "min"), (2, "max")))
    if low != 0.0 or high is None or high < 0:
        raise Unmatched("other bounds")
    x = real(values[0])
    return on_each(x, Call(ReLU, [x.ref], name=reader.name(node), options={"max_value": high}), reader)


def _bound(node: Node, values: list[Meaning], place: int, name: str) -> float | None:
    given = values[place] if place < len(values) else None
    if isinstance(given, Const) and given.array.size == 1:
        return float(np.ravel(given.array)[0])
    number = node.attributes.get(name)
    return None if given is not None or number is None else float(number)
