"""An ONNX graph in the making: nodes under their layers' names, weights once, constants shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from onnx import NodeProto, TensorProto

    from recurra._typing import Array, Shape
    from recurra.layers.base import Layer


class Value(NamedTuple):
    """An array of the graph.

    Attributes
    ----------
    name : str
        In the graph.
    shape : tuple of (int or None)
        As recurra's layers know it, batch axis first.
    dtype : numpy.dtype
        Of its numbers.
    lengths : str or None
        The value (batch,) of int64 that says which steps count; None: all.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    lengths: str | None = None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)


class Graph:
    """Nodes and initializers, and the operators whose form depends on the version.

    Parameters
    ----------
    opset : int
        The version of the operator set.
    taken : iterable of str
        Names of the graph's inputs and outputs.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
        In the order of computing.
    initializers : dict of str to onnx.TensorProto
        Weights and constants.
    weights : dict of str to numpy.ndarray
        Those initializers that hold parameters.
    """

    def __init__(self, opset: int, taken: Iterable[str]) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.weights: dict[str, Array] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._made: dict[tuple[Any, ...], str] = {}
        self._names = set(taken)

    def node(self, prefix: str, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node named after its layer and return the names of its outputs."""
        name = self._unique(f"{prefix}/{op}")
        names = [f"{name}:{index}" for index in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **given))
        return names

    def constant(self, array: Array) -> str:
        """Return the name of an initializer with these numbers, the same for the same numbers."""
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self._initializer("constant", array)
        return self._constants[key]

    def weight(self, key: tuple[Any, ...], name: str, make: Callable[[], Array]) -> str:
        """Return the name of an initializer, made if its key is new: a layer may be called twice."""

        def made() -> str:
            array = make()
            unique = self._initializer(name, array)
            self.weights[unique] = array
            return unique

        return self.once(key, made)

    def _initializer(self, name: str, array: Array) -> str:
        unique = self._unique(name)
        self.initializers[unique] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), unique)
        return unique

    def once(self, key: tuple[Any, ...], make: Callable[[], str]) -> str:
        """Return what was made for a key, such as the mask of some lengths, or make it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def prune(self, outputs: Sequence[str]) -> None:
        """Leave out nodes and initializers that no output needs, such as lengths that nobody reads."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        self.nodes = nodes[::-1]
        self.initializers = {name: tensor for name, tensor in self.initializers.items() if name in needed}
        self.weights = {name: array for name, array in self.weights.items() if name in needed}

    def _unique(self, name: str) -> str:
        unique, number = name, 0
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique


class Scope:
    """A layer's place in the graph: what its emitter calls.

    Parameters
    ----------
    graph : Graph
        Where nodes go.
    layer : Layer
        The layer.
    prefix : str
        Of the names of nodes, ``outer/inner``; parameters are ``outer.inner.name``.
    """

    def __init__(self, graph: Graph, layer: Layer, prefix: str = "") -> None:
        self.graph, self.layer, self.prefix = graph, layer, prefix

    @property
    def opset(self) -> int:
        """The version of the operator set."""
        return self.graph.opset

    def inside(self, layer: Layer, name: str = "") -> Scope:
        """Return the place of a layer within this one."""
        name = name or layer.name
        return Scope(self.graph, layer, f"{self.prefix}/{name}" if self.prefix else name)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and return its name."""
        return self.graph.node(self.prefix, op, inputs, **attributes)[0]

    def nodes(self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add a node of several outputs and return their names."""
        return self.graph.node(self.prefix, op, inputs, outputs, **attributes)

    def weight(self, name: str, make: Callable[[], Array]) -> str:
        """Return a parameter's name in the graph; ``make`` may move its numbers, never compute with them."""
        return self.graph.weight((id(self.layer), name), f"{self.prefix}.{name}".replace("/", "."), make)

    # Constants

    def ints(self, *numbers: int) -> str:
        """Return a vector of integers."""
        return self.graph.constant(np.array(numbers, np.int64))

    def integer(self, number: int) -> str:
        """Return a scalar integer."""
        return self.graph.constant(np.array(number, np.int64))

    def number(self, number: float, dtype: np.dtype[Any]) -> str:
        """Return a scalar of a dtype."""
        return self.graph.constant(np.array(number, dtype))

    # Operators whose form depends on the version, or that come with constants

    def size(self, name: str, axis: int) -> str:
        """Return the size of an axis, as a vector of one."""
        return self.graph.once(("size", name, axis), lambda: self.node("Gather", self._shape(name), self.ints(axis)))

    def _shape(self, name: str) -> str:
        return self.graph.once(("shape", name), lambda: self.node("Shape", name))

    def squeeze(self, name: str, *axes: int) -> str:
        """Return an array without axes of size 1."""
        return self.node("Squeeze", name, self.ints(*axes))

    def unsqueeze(self, name: str, *axes: int) -> str:
        """Return an array with more axes of size 1."""
        return self.node("Unsqueeze", name, self.ints(*axes))

    def reduce(self, op: str, name: str, axes: Sequence[int], keepdims: bool = False) -> str:
        """Return a reduction over axes, which are an input or an attribute, depending on operator and version."""
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.node(op, name, self.ints(*axes), keepdims=int(keepdims))
        return self.node(op, name, axes=list(axes), keepdims=int(keepdims))

    def cast(self, name: str, dtype: Any) -> str:
        """Return an array of another dtype."""
        return self.node("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def transpose(self, name: str, *perm: int) -> str:
        """Return an array with its axes in another order."""
        return self.node("Transpose", name, perm=list(perm))

    def slice(self, name: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """Return a part of an array along an axis."""
        return self.node("Slice", name, self.ints(start), self.ints(end), self.ints(axis), self.ints(step))

    # Steps that count

    def steps(self, name: str, axis: int = 1) -> str:
        """Return the numbers of an array's steps, 0, 1, ... along its axis of time, as a vector."""

        def make() -> str:
            count = self.squeeze(self.size(name, axis), 0)
            return self.node("Range", self.integer(0), count, self.integer(1))

        return self.graph.once(("steps", name, axis), make)

    def counted(self, name: str, lengths: str) -> str:
        """Return which steps of an array (batch, time, ...) count, (batch, time) of bool."""

        def make() -> str:
            return self.node("Less", self.unsqueeze(self.steps(name), 0), self.unsqueeze(lengths, 1))

        return self.graph.once(("counted", name, lengths), make)

    def kept(self, value: Value, lengths: str | None, fill: float = 0.0) -> str:
        """Return an array with a number in all steps beyond the lengths; itself if all count."""
        if lengths is None:
            return value.name
        mask = self.counted(value.name, lengths)
        if value.rank > 2:
            mask = self.unsqueeze(mask, *range(2, value.rank))
        return self.node("Where", mask, value.name, self.number(fill, value.dtype))
