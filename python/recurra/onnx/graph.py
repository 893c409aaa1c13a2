"""An ONNX model read into plain Python: nodes with checked attributes, weights as arrays; nothing is computed.

Every operator is looked up in the schemas of the ``onnx`` package at the model's version of the operator set, so that
the attributes and inputs of each version are those of its specification, with its defaults filled in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto

from recurra import _errors
from recurra.onnx import functions, order, schema, tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnx import GraphProto, NodeProto, ValueInfoProto

    from recurra._typing import Array

MOST_DEPTH = 16  # of graphs inside of nodes


class Value(NamedTuple):
    """An input or output of a graph.

    Attributes
    ----------
    name : str
        Its name.
    dtype : numpy.dtype or None
        None where the file does not say it.
    shape : tuple of int, str or None; or None
        A size, its name, or None where it is free; None if even the number of axes is.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None

    @property
    def type(self) -> str:
        """The type in ONNX's words, such as ``tensor(float)``."""
        return tensors.type_text(self.dtype)


@dataclass(frozen=True)
class Node:
    """One operator of a graph.

    Attributes
    ----------
    op_type, name : str
        Its operator and its own name, which may be empty.
    inputs, outputs : tuple of str
        Names of values; an empty one stands for an optional value that is left out.
    attributes : dict of str to Any
        All attributes of the operator's version, by default or given: int, float, str, tuples of these, arrays, or a
        `Graph`; None for one that has no default.
    version : int
        Since which operator set the operator has been as it is here.
    captured : tuple of str
        Values of the graph around that the graphs inside of it read.
    proto : onnx.NodeProto
        As the file has it.
    """

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    version: int
    captured: tuple[str, ...]
    proto: NodeProto = field(repr=False)

    @property
    def label(self) -> str:
        """What messages call it."""
        return order.label(self.op_type, self.name, self.outputs)

    def has(self, index: int) -> bool:
        """Whether input number ``index`` is given."""
        return index < len(self.inputs) and bool(self.inputs[index])

    def wants(self, index: int) -> bool:
        """Whether output number ``index`` is asked for."""
        return index < len(self.outputs) and bool(self.outputs[index])


@dataclass(frozen=True)
class Graph:
    """A graph whose nodes stand in an order in which they can run.

    Attributes
    ----------
    name : str
        Its name.
    source : str
        Where it came from, for messages.
    opset : int
        The version of the operator set.
    nodes : list of Node
        In an order in which they can run.
    initializers : dict of str to numpy.ndarray
        The weights.
    inputs, outputs : list of Value
        Inputs without the initializers.
    captured : tuple of str
        Of a graph inside of a node: the values it reads from around.
    metadata : dict of str to str
        What the file says beside the graph.
    """

    name: str
    source: str
    opset: int
    nodes: list[Node]
    initializers: dict[str, Array]
    inputs: list[Value]
    outputs: list[Value]
    captured: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        """Yield all nodes, also those of graphs inside of nodes."""
        for node in self.nodes:
            yield node
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    yield from value.walk()


def read_graph(model: str | os.PathLike[str] | bytes | ModelProto) -> Graph:
    """Read and check an ONNX model.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        A file, whose external data must lie in its own folder; its bytes; or the message itself.

    Returns
    -------
    Graph
        Checked against the specification's schemas of its version.

    Raises
    ------
    ValueError
        If it is damaged, hostile or of a version or with an operator that is not known; the message names the node.
    OSError
        If the file cannot be read.

    Notes
    -----
    Memory stays within a small multiple of the file's size: no array is made that the file does not hold.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "small", [x], [y])
    >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    >>> read_graph(model).nodes[0].op_type
    'Relu'
    """
    folder = None
    if isinstance(model, ModelProto):
        source, proto = "model", model
    else:
        if isinstance(model, bytes):
            source, data = "model", model
        else:
            source, folder = os.fspath(model), os.path.dirname(os.path.abspath(os.fspath(model)))
            with open(model, "rb") as file:
                data = file.read()
        proto = ModelProto()
        try:
            proto.ParseFromString(data)
        except DecodeError as error:
            raise _errors.bad_value(source, "an ONNX model", f"something else, or a damaged one ({error})") from None
    try:
        return _Reader(source, folder).model(proto)
    except RecursionError:
        raise _errors.bad_value(source, f"graphs nested at most {MOST_DEPTH} deep", "deeper ones") from None


class _Reader:
    """Reads one model: its file's name, folder and version at hand."""

    def __init__(self, source: str, folder: str | None) -> None:
        self.source = source
        self.tensors = tensors.Reader(source, folder)

    def model(self, proto: ModelProto) -> Graph:
        self.opset = schema.opset_of(proto, self.source)
        if not proto.HasField("graph"):
            raise _errors.bad_value(self.source, "an ONNX model with a graph", "one without", "is the file damaged?")
        inlined = functions.inline(proto, self.source)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        return replace(self.graph(inlined.graph, 0, frozenset()), metadata=metadata)

    def graph(self, proto: GraphProto, depth: int, around: frozenset[str]) -> Graph:
        if depth > MOST_DEPTH:
            raise _errors.bad_value(self.source, f"graphs nested at most {MOST_DEPTH} deep", "deeper ones")
        if proto.sparse_initializer:
            raise _errors.bad_value(self.source, "dense weights", "sparse ones", "make them dense")
        initializers = {tensor.name: self.tensors.array(tensor, tensor.name) for tensor in proto.initializer}
        inputs = [self.value(info) for info in proto.input if info.name not in initializers]
        known = {*initializers, *(value.name for value in inputs)}
        made = {name for node in proto.node for name in node.output if name}
        nodes = [self.node(node, depth, around | known | made) for node in proto.node]
        outputs = [self.value(info) for info in proto.output]
        ordered, captured = order.ordered(nodes, known, around, outputs, self.source)
        return Graph(proto.name, self.source, self.opset, ordered, initializers, inputs, outputs, captured)

    def node(self, proto: NodeProto, depth: int, around: frozenset[str]) -> Node:
        label = order.label(proto.op_type, proto.name, tuple(proto.output))
        where = f"{self.source}: {label}"
        known = schema.check_node(proto, self.opset, where)
        values = {attribute.name: self.attribute(attribute, depth, around, where) for attribute in proto.attribute}
        attributes = {**schema.defaults(known), **values}
        graphs: Iterable[Graph] = (value for value in values.values() if isinstance(value, Graph))
        captured = tuple(dict.fromkeys(name for graph in graphs for name in graph.captured))
        inputs, outputs = tuple(proto.input), tuple(proto.output)
        return Node(proto.op_type, proto.name, inputs, outputs, attributes, known.since_version, captured, proto)

    def attribute(self, proto: Any, depth: int, around: frozenset[str], where: str) -> Any:
        if proto.ref_attr_name:
            raise _errors.bad_value(where, f"a value for attribute {proto.name!r}", "a reference outside of a function")
        if proto.type == proto.GRAPH:
            return self.graph(proto.g, depth + 1, around)
        if proto.type == proto.TENSOR:
            return self.tensors.array(proto.t, f"{where}, attribute {proto.name!r}")
        return schema.plain_value(proto, where)

    def value(self, info: ValueInfoProto) -> Value:
        kind = info.type.WhichOneof("value")
        if kind is None:
            return Value(info.name, None, None)
        if kind != "tensor_type":
            raise _errors.bad_value(f"{self.source}: {info.name!r}", "a tensor", f"a value of {kind}")
        tensor = info.type.tensor_type
        dtype = tensors.dtype_of(tensor.elem_type, f"{self.source}: {info.name!r}") if tensor.elem_type else None
        if not tensor.HasField("shape"):
            return Value(info.name, dtype, None)
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim)
        sizes = [size for size in shape if isinstance(size, int)]
        if any(size < 0 for size in sizes):
            raise _errors.bad_value(f"{self.source}: {info.name!r}", "sizes from 0", f"shape {shape}")
        return Value(info.name, dtype, shape)
