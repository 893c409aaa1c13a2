"""The order in which Keras lists the layers of a functional model, by which its files number them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.layers.base import Layer
    from recurra.layers.symbolic import Node
    from recurra.models import Functional


def keras_order(model: Functional) -> list[Layer]:
    """Return a graph's layers by depth: those farthest from the outputs first, then as a walk from there sees them.

    The depth of a layer is that of its deepest call (``map_graph`` in Keras's ops/function.py).
    """
    seen: dict[int, int] = {}  # layers in the order in which a walk comes upon them
    walked: set[int] = set()
    waiting = list(reversed(model.outputs))
    while waiting:
        node = waiting.pop().node
        if node is None or id(node) in walked or any(node.outputs[0] is tensor for tensor in model.inputs):
            continue
        walked.add(id(node))
        seen.setdefault(id(node.layer), len(seen))
        waiting += reversed(node.inputs)
    depths: dict[int, int] = {}
    calls: dict[int, int] = {}
    for node in reversed(model.nodes):
        depth = max(calls.get(id(node), 0), depths.get(id(node.layer), 0))
        depths[id(node.layer)] = depth
        for before in _parents(node):
            calls[id(before)] = max(depth + 1, calls.get(id(before), 0))
    return sorted(model.layers, key=lambda layer: (-depths[id(layer)], seen[id(layer)]))


def _parents(node: Node) -> list[Node]:
    return [tensor.node for tensor in node.inputs if tensor.node is not None]
