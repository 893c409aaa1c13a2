"""The operators of a graph, bound to their nodes, less those whose results never change: these are computed once."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.onnx.operators import BUILDERS, MANY, elementwise, supported_operators
from recurra.onnx.site import Site, integers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_NEVER = {"If", "Loop", "Scan", "GRU", "LSTM", "RNN"}


def bound(graph: Graph, constants: dict[str, Array], subplan: Callable[[Graph], Any]) -> list[tuple[Node, Any]]:
    """Return the nodes that must run, with their operators; add what others give to the constants."""
    largest = max((array.size for array in graph.initializers.values()), default=0)
    most = max(MOST_FOLDED, largest)
    result = []
    for node in graph.nodes:
        where = f"{graph.source}: {node.label}"
        if node.op_type not in BUILDERS:
            hint = ", ".join(supported_operators())
            raise _errors.bad_value(where, "an operator that runs", repr(node.op_type), hint)
        given = tuple(constants.get(name) if name else None for name in node.inputs)
        site = Site(node, given, where, graph.opset, subplan)
        call = build(site)
        if not _folded(site, call, constants, most):
            result.append((node, call))
    return result


def build(site: Site) -> Any:
    """Return a node's operator, bound to it; errors name the node."""
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
