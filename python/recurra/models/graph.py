"""From placeholders to the order in which a graph computes; and a graph's description for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.symbolic import Input, SymbolicTensor, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.layers.symbolic import Node
    from recurra.models.functional import Functional


def listed(argument: str, given: Any) -> tuple[list[SymbolicTensor], list[str]]:
    """Return placeholders given alone, as a list or as a dictionary, with the dictionary's names."""
    names: list[str] = []
    if isinstance(given, dict):
        names, given = [str(name) for name in given], list(given.values())
    tensors = list(given) if isinstance(given, list | tuple) else [given]
    for tensor in tensors:
        if not isinstance(tensor, SymbolicTensor):
            raise _errors.bad_type(argument, "placeholders from Input, or layers' outputs for such", tensor)
    if not tensors:
        raise _errors.bad_value(argument, "at least one", "none")
    return tensors, names


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names, repeated ones with a number."""
    made: list[str] = []
    for name in names:
        unique, number = name, 0
        while unique in made:
            number += 1
            unique = f"{name}_{number}"
        made.append(unique)
    return made


def sorted_nodes(inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]) -> list[Node]:
    """Return the calls between inputs and outputs, each after those it reads."""
    known = {id(tensor) for tensor in inputs}
    if len(known) < len(inputs) or any(tensor.node is not None for tensor in inputs):
        raise _errors.bad_value("inputs", "different placeholders from Input", "others")
    order: list[Node] = []
    seen: set[int] = set()
    waiting: list[tuple[SymbolicTensor, bool]] = [(tensor, False) for tensor in reversed(outputs)]
    while waiting:  # a stack of our own: a graph may be deeper than Python's
        tensor, ready = waiting.pop()
        node = tensor.node
        if node is None:
            if id(tensor) not in known:
                raise _errors.bad_value(
                    "inputs", f"{tensor.name or 'an input'!r} among them", "an output that needs it"
                )
            continue
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((tensor, True))
            waiting += [(source, False) for source in reversed(node.inputs)]
    if not order:
        raise _errors.bad_value("outputs", "outputs of layers", "inputs alone")
    return order


def check_dtypes(nodes: list[Node]) -> None:
    """Raise unless all layers compute in the same dtype: their parameters lie in one buffer."""
    dtype = nodes[0].layer.dtype
    for node in nodes:
        if node.layer.dtype != dtype:
            got = f"{node.layer.dtype.name} of {node.layer.name!r}"
            raise _errors.bad_value("outputs", f"layers of one dtype, {dtype.name} as the first", got)


def check_array(argument: str, array: Any, tensor: SymbolicTensor, first: Any) -> None:
    """Raise unless an array is what a placeholder stands for, with as many samples as the first input."""
    axes: tuple[str, ...] = ("batch", "time", "features") if len(tensor.shape) == 3 else ("batch", "features")
    if tensor.dtype.kind in "iu":
        _errors.check_integers(argument, array)
        axes = ("batch", "time")
    if len(axes) != len(tensor.shape):
        axes = ("batch", *("axis",) * (len(tensor.shape) - 1))
    sizes = (None if array is first else len(first), *tensor.shape[1:])
    if tensor.dtype.kind in "iu":
        _errors.check_shape(argument, array.shape, axes, sizes)
    else:
        _errors.check_array(argument, array, tensor.dtype, axes, sizes)


def add(total: Array | None, more: Array | None) -> Array | None:
    """Return the sum of two gradients, None being zero."""
    if total is None or more is None:
        return more if total is None else total
    return total + more


# Files


def to_config(model: Functional) -> dict[str, Any]:
    """Return inputs, layers, calls and outputs for JSON: an array is ``[call, output]``, an input ``[-1, input]``."""
    from recurra.layers import serialize

    numbers = {id(node): index for index, node in enumerate(model.nodes)}

    def place(tensor: SymbolicTensor) -> list[int]:
        return [-1, _index(model.inputs, tensor)] if tensor.node is None else [numbers[id(tensor.node)], tensor.index]

    return {
        "inputs": [
            {"shape": list(tensor.shape[1:]), "dtype": tensor.dtype.name, "name": name}
            for tensor, name in zip(model.inputs, model.input_names, strict=True)
        ],
        "layers": [serialize(layer) for layer in model.layers],
        "calls": [
            {"layer": model.layers.index(node.layer), "inputs": [place(tensor) for tensor in node.inputs]}
            for node in model.nodes
        ],
        "outputs": [place(tensor) for tensor in model.outputs],
        "output_names": model.output_names,
    }


def _index(tensors: list[SymbolicTensor], tensor: SymbolicTensor) -> int:
    return next(index for index, other in enumerate(tensors) if other is tensor)


def from_config(
    config: dict[str, Any],
    custom_objects: dict[str, type[Layer]] | None,
    layers: list[Layer] | None = None,
    dtype: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the placeholders of inputs and outputs, by name, having called new layers, or those given."""
    from recurra.layers import deserialize

    if layers is None:
        layers = [deserialize(description, custom_objects) for description in config["layers"]]
    inputs = {}
    for given in config["inputs"]:
        kind = dtype if dtype is not None and np.dtype(given["dtype"]).kind == "f" else given["dtype"]
        inputs[given["name"]] = Input(given["shape"], dtype=kind, name=given["name"])
    made: list[Sequence[Any]] = []

    def find(place: Sequence[int]) -> Any:
        call, output = place
        if not -1 <= call < len(made) or output < 0:
            raise _errors.bad_value("config", "calls that read earlier ones", f"{place}")
        return list(inputs.values())[output] if call == -1 else made[call][output]

    for call in config["calls"]:
        layer, read = layers[call["layer"]], [find(place) for place in call["inputs"]]
        result = connect(layer, read) if layer.merges else connect(layer, *_with_states(read))
        made.append(result if isinstance(result, list) else [result])
    found = [find(place) for place in config["outputs"]]
    return inputs, dict(zip(config["output_names"], found, strict=True))


def _with_states(read: list[Any]) -> list[Any]:
    """Return the arguments of a call: the input, and the list of initial states if there are any."""
    return [read[0], read[1:]] if len(read) > 1 else read
