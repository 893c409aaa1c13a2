"""A graph made ready to run: constants computed, weights packed, operators bound in their order; made once at load."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra import _errors
from recurra.onnx.operators import BUILDERS, MANY, control, elementwise, reference, supported_operators
from recurra.onnx.site import Site, integers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from recurra._typing import Array
    from recurra.onnx.graph import Graph, Node

# Constants that are computed at load may have this many numbers, or as many as the largest array of the file.
MOST_FOLDED = 2**20

# Operators whose result is at most as large as their inputs together.
_NO_LARGER = {
    *elementwise.ACTIVATIONS,
    "Cast",
    "Concat",
    "Flatten",
    "Identity",
    "Reciprocal",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
# Operators whose result is as large as the values of their inputs say.
_AS_TOLD: dict[str, Callable[..., int]] = {
    "ConstantOfShape": lambda shape: prod(integers(shape)),
    "Expand": lambda x, shape: x.size * prod(integers(shape)),
    "Pad": lambda x, pads, *_: prod(size + abs(int(np.max(np.abs(pads), initial=0))) * 2 for size in x.shape),
    "Range": lambda start, limit, delta: int(abs((float(limit) - float(start)) / float(delta))) if delta else 2**62,
    "Tile": lambda x, repeats: x.size * prod(integers(repeats)),
}
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
_NEVER = {"If", "Loop", "Scan", "GRU", "LSTM", "RNN"}


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
    where : str
        What messages call the node.
    """

    call: Any
    inputs: tuple[int, ...]
    output: int
    outputs: tuple[int, ...]
    done: tuple[int, ...]
    where: str


class Plan:
    """The steps of a graph.

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
    shared : list of bool
        Whether an output may lie in memory of an input, a constant or another output.
    quiet : bool
        Whether NumPy must be kept from warning of infinities and NaN.
    """

    def __init__(self, graph: Graph, around: Mapping[str, Array]) -> None:
        self.source = graph.source
        self.inputs = [value.name for value in graph.inputs]
        self.outputs = [value.name for value in graph.outputs]
        constants = {**around, **graph.initializers}
        for name in (*self.inputs, *(name for node in graph.nodes for name in node.outputs)):
            constants.pop(name, None)  # a value of this graph hides one of the same name around it
        largest = max((array.size for array in graph.initializers.values()), default=0)
        bound = _bound(graph, constants, max(MOST_FOLDED, largest))
        self.captured = [name for name in graph.captured if name not in constants]
        self._place(bound, constants)

    def _place(self, bound: list[tuple[Node, Any]], constants: dict[str, Array]) -> None:
        """Give each value a place, each step the places it reads and writes."""
        needed = set(self.outputs)
        used = []
        for node, call in reversed(bound):
            if needed.intersection(node.outputs):
                needed.update(node.inputs, node.captured)
                used.append((node, call))
        places = {"": 0}
        for name in (*self.inputs, *self.captured):
            places.setdefault(name, len(places))
        values: list[Any] = [None] * len(places)

        def place(name: str) -> int:
            if name not in places:
                places[name] = len(values)
                values.append(constants.get(name))
            return places[name]

        steps = []
        for node, call in reversed(used):
            inputs = tuple(map(place, (*node.inputs, *node.captured)))
            outputs = tuple(place(name) if name in needed else 0 for name in node.outputs)
            single = node.op_type not in MANY
            label = f"{self.source}: {node.label}"
            steps.append(Step(call, inputs, outputs[0] if single else -1, outputs, (), label))
        self._results = [place(name) for name in self.outputs]
        self._values = values
        self.shared = _shared(self.outputs, used)
        self.quiet = any(node.op_type not in SILENT for node, _ in used)
        self.steps = _released(steps, {*self._results, *(places[name] for name in constants if name in places), 0})

    def run(self, given: Sequence[Any]) -> list[Any]:
        """Return the outputs for the inputs and captured values."""
        values = self._values.copy()
        values[1 : 1 + len(given)] = given
        step = None
        try:
            for step in self.steps:
                call, inputs, output, outputs, done, _ = step
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
            assert step is not None
            raise _named(error, step.where) from error
        return [values[index] for index in self._results]


def _shared(outputs: list[str], used: list[tuple[Node, Any]]) -> list[bool]:
    """Return for each output whether it may lie in memory of an input, a constant or another output."""
    maker = {name: node for node, _ in used for name in node.outputs}
    roots: set[str] = set()
    found = []
    for name in outputs:
        while name in maker and maker[name].op_type in VIEWS:
            name = maker[name].inputs[0]
        found.append(name not in maker or maker[name].op_type in UNKNOWN or name in roots)
        roots.add(name)
    return found


def _named(error: Exception, where: str) -> Exception:
    """Return the error of a node, with its name, once."""
    if isinstance(error, NodeError):
        return error
    return NodeError(f"{where}: {error}")


class NodeError(ValueError):
    """A node that could not compute; the message names it."""


def _released(steps: list[Step], kept: set[int]) -> list[Step]:
    """Return the steps, each with the values that it is the last one to read."""
    seen = set(kept)
    result = []
    for step in reversed(steps):
        done = tuple(dict.fromkeys(index for index in (*step.inputs, *step.outputs) if index not in seen))
        seen.update(done)
        result.append(step._replace(done=done))
    return result[::-1]


def _bound(graph: Graph, constants: dict[str, Array], most: int) -> list[tuple[Node, Any]]:
    """Return the nodes that must run, with their operators; add what others give to the constants."""
    bound = []
    for node in graph.nodes:
        where = f"{graph.source}: {node.label}"
        if node.op_type not in BUILDERS:
            hint = ", ".join(supported_operators())
            raise _errors.bad_value(where, "an operator that runs", repr(node.op_type), hint)
        given = tuple(constants.get(name) if name else None for name in node.inputs)
        site = Site(node, given, where, graph.opset, lambda inner: Plan(inner, constants))
        call = _build(site)
        if not _folded(site, call, constants, most):
            bound.append((node, call))
    return bound


def _build(site: Site) -> Any:
    try:
        return BUILDERS[site.node.op_type](site)
    except (TypeError, ValueError, IndexError, OverflowError, NotImplementedError, RuntimeError) as error:
        if str(error).startswith(site.where):
            raise
        raise ValueError(f"{site.where}: {error}") from error


def _folded(site: Site, call: Any, constants: dict[str, Array], most: int) -> bool:
    """Compute a node whose inputs never change, unless its result could be too large."""
    node = site.node
    ready = all(one is not None for one, name in zip(site.constants, node.inputs, strict=True) if name)
    if not ready or node.op_type in _NEVER or _size(node.op_type, site.constants) > most:
        return False
    try:
        with np.errstate(all="ignore"):
            result = call(*site.constants)
    except Exception as error:
        raise ValueError(f"{site.where}: {error}") from error
    results = result if node.op_type in MANY else (result,)
    for name, value in zip(node.outputs, results, strict=False):
        array = np.array(value)
        array.setflags(write=False)
        constants[name] = array
    return True


def _size(op_type: str, given: Sequence[Array | None]) -> int:
    """Return a bound of the numbers in an operator's result."""
    arrays = [one for one in given if one is not None]
    try:
        if op_type in _AS_TOLD:
            return int(_AS_TOLD[op_type](*arrays))
        if op_type in elementwise.BUILDERS and op_type not in _NO_LARGER:
            return prod(np.broadcast_shapes(*(one.shape for one in arrays)))
    except (TypeError, ValueError, OverflowError):
        return 0  # it fails in its own words
    if op_type in _NO_LARGER:
        return sum(one.size for one in arrays)
    return prod(max(1, one.size) for one in arrays)
