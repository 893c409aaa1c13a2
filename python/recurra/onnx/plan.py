"""A graph made ready to run: constants computed, weights packed, operators bound in their order; made once at load."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from recurra.onnx import folding
from recurra.onnx.operators import MANY, control, elementwise, reference
from recurra.onnx.site import First

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from recurra._typing import Array
    from recurra.onnx.graph import Graph, Node

# Operators that return a view of their first input, or may; and those that may return anything they were given.
VIEWS = {
    "Clip",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
UNKNOWN = {*reference.BUILDERS, *control.BUILDERS, *elementwise.VARIADIC, "Einsum"}
# Operators that never warn of infinities or NaN.
SILENT = {*VIEWS, *elementwise.ACTIVATIONS, "Concat", "Conv", "GRU", "Gemm", "LSTM", "RNN", "Shape", "Softmax"}


class Bound(NamedTuple):
    """A node that must run.

    Attributes
    ----------
    node : Node
        The node.
    call : callable
        Its operator.
    inputs, outputs : tuple of int
        Where its values lie; 0 for those left out.
    where : str
        What messages call the node.
    opset : int
        The model's version of the operator set.
    """

    node: Node
    call: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    where: str
    opset: int


class Step(NamedTuple):
    """One operator in its place.

    Attributes
    ----------
    call : callable
        The operator.
    inputs : tuple of int
        Where its inputs lie; 0 holds None.
    output : int
        Where its output goes; -1: it returns a tuple, for ``outputs``.
    outputs : tuple of int
        Where these go; 0 for one that nobody wants.
    done : tuple of int
        Values that no later step reads.
    """

    call: Any
    inputs: tuple[int, ...]
    output: int
    outputs: tuple[int, ...]
    done: tuple[int, ...]


class Plan:
    """Steps in their order.

    Parameters
    ----------
    nodes : list of Bound
        Nodes in an order in which they can run; those whose results nobody wants are left out.
    values : list
        What lies at each place and never changes; None elsewhere. Place 0 holds None; the inputs follow.
    inputs : int
        How many these are.
    results : list of int
        Where the outputs lie.

    Attributes
    ----------
    nodes, values, results
        As given, without the nodes left out.
    shared : list of bool
        Whether an output may lie in memory of an input, a constant or another output.
    quiet : bool
        Whether NumPy must be kept from warning of infinities and NaN.
    exact : bool
        Whether all outputs are known to be arrays in memory of their own.
    """

    exact = False

    def __init__(self, nodes: list[Bound], values: list[Any], inputs: int, results: list[int]) -> None:
        self.nodes = _fused(_needed(nodes, results), results)
        self.values, self.results = values, results
        self.shared = _shared(results, self.nodes)
        self.quiet = any(one.node.op_type not in SILENT for one in self.nodes)
        given = range(1, 1 + inputs)
        constant = {index for index, value in enumerate(values) if value is not None and index not in given}
        self.steps = _released(self.nodes, {0, *results, *constant})

    def run(self, given: Sequence[Any]) -> list[Any]:
        """Return the outputs for the inputs and captured values."""
        values = self.values.copy()
        values[1 : 1 + len(given)] = given
        number = 0
        try:
            for number, step in enumerate(self.steps):  # noqa: B007
                call, inputs, output, outputs, done = step
                if len(inputs) == 1:
                    result = call(values[inputs[0]])
                elif len(inputs) == 2:
                    result = call(values[inputs[0]], values[inputs[1]])
                else:
                    result = call(*[values[index] for index in inputs])
                if output >= 0:
                    values[output] = result
                else:
                    for index, value in zip(outputs, result, strict=False):
                        if index:
                            values[index] = value
                for index in done:
                    values[index] = None
        except Exception as error:
            raise named(error, self.nodes[number].where) from error
        return [values[index] for index in self.results]


class GraphPlan(Plan):
    """The plan of a whole graph.

    Parameters
    ----------
    graph : Graph
        What to run.
    around : mapping of str to numpy.ndarray
        Values of the graphs around that never change.

    Attributes
    ----------
    inputs, outputs : list of str
        The graph's own.
    captured : list of str
        Values of the graphs around that may change; `run` takes them behind the inputs.
    """

    def __init__(self, graph: Graph, around: Mapping[str, Array]) -> None:
        self.inputs = [value.name for value in graph.inputs]
        self.outputs = [value.name for value in graph.outputs]
        constants = {**around, **graph.initializers}
        for name in (*self.inputs, *(name for node in graph.nodes for name in node.outputs)):
            constants.pop(name, None)  # a value of this graph hides one of the same name around it
        bound = folding.bound(graph, constants, lambda inner: GraphPlan(inner, constants))
        self.captured = [name for name in graph.captured if name not in constants]
        places = {"": 0}
        for name in (*self.inputs, *self.captured):
            places.setdefault(name, len(places))
        count = len(places) - 1
        values: list[Any] = [None] * len(places)

        def place(name: str) -> int:
            if name not in places:
                places[name] = len(values)
                values.append(constants.get(name))
            return places[name]

        nodes = []
        for node, call in bound:
            inputs = tuple(map(place, (*node.inputs, *node.captured)))
            outputs = tuple(map(place, node.outputs))
            nodes.append(Bound(node, call, inputs, outputs, f"{graph.source}: {node.label}", graph.opset))
        super().__init__(nodes, values, count, [place(name) for name in self.outputs])


def _needed(nodes: list[Bound], results: Iterable[int]) -> list[Bound]:
    """Return the nodes whose results are wanted, unwanted ones marked, inputs that are not read left out."""
    needed, kept = {*results} - {0}, []
    for one in reversed(nodes):
        if needed.isdisjoint(one.outputs):
            continue
        outputs = tuple(index if index in needed else 0 for index in one.outputs)
        if isinstance(one.call, First):
            one = one._replace(call=one.call.call, inputs=one.inputs[:1])
        needed.update(one.inputs)
        kept.append(one._replace(outputs=outputs))
    return kept[::-1]


def _fused(nodes: list[Bound], results: Iterable[int]) -> list[Bound]:
    """Return the nodes, activations computed by what comes before them where that can and nobody else reads it."""
    reads = Counter(index for one in nodes for index in one.inputs)
    reads.update(results)
    found: list[Bound] = []
    at: dict[int, int] = {}  # where the node stands that makes a value which only one node reads
    for one in nodes:
        source = at.get(one.inputs[0]) if one.node.op_type in elementwise.ACTIVATIONS else None
        if source is not None:
            call = found[source].call.activated(*elementwise.activation_of(one.node))
            if call is not None:
                found[source] = found[source]._replace(call=call, outputs=one.outputs)
                continue
        if hasattr(one.call, "activated") and reads[one.outputs[0]] == 1:
            at[one.outputs[0]] = len(found)
        found.append(one)
    return found


def _shared(results: list[int], nodes: list[Bound]) -> list[bool]:
    """Return for each output whether it may lie in memory of an input, a constant or another output."""
    maker = {index: one for one in nodes for index in one.outputs if index}
    roots: set[int] = set()
    found = []
    for index in results:
        while index in maker and maker[index].node.op_type in VIEWS:
            index = maker[index].inputs[0]
        found.append(index not in maker or maker[index].node.op_type in UNKNOWN or index in roots)
        roots.add(index)
    return found


def named(error: Exception, where: str) -> Exception:
    """Return the error of a node, with its name, once."""
    if isinstance(error, NodeError):
        return error
    return NodeError(f"{where}: {error}")


class NodeError(ValueError):
    """A node that could not compute; the message names it."""


def _released(nodes: list[Bound], kept: set[int]) -> list[Step]:
    """Return the steps, each with the values that it is the last one to read."""
    seen = set(kept)
    result = []
    for one in reversed(nodes):
        done = tuple(dict.fromkeys(index for index in (*one.inputs, *one.outputs) if index not in seen))
        seen.update(done)
        single = one.node.op_type not in MANY
        result.append(Step(one.call, one.inputs, one.outputs[0] if single else -1, one.outputs, done))
    return result[::-1]
