"""The order of nodes: every value made once, before it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra.onnx.graph import Node, Value


def label(op_type: str, name: str, outputs: Sequence[str]) -> str:
    """Return what messages call a node."""
    if name:
        return f"node {name!r} ({op_type})"
    made = next((output for output in outputs if output), "")
    return f"the {op_type} node that makes {made!r}" if made else f"a nameless {op_type} node"


def ordered(
    nodes: list[Node], known: set[str], around: frozenset[str], outputs: Sequence[Value], source: str
) -> tuple[list[Node], tuple[str, ...]]:
    """Return nodes in an order in which they can run, and the values they read from around the graph.

    Raises
    ------
    ValueError
        If a value is made twice, read but never made, or needs itself.
    """

    def missing(where: str, what: str, name: str) -> ValueError:
        return _errors.bad_value(where, f"{what} that exist", f"{name!r}, which nothing makes")

    maker = _makers(nodes, known, source)
    captured: dict[str, None] = {}
    waiting: list[set[int]] = []
    for node in nodes:
        needs = set()
        for name in (*filter(None, node.inputs), *node.captured):
            if name in maker:
                needs.add(maker[name])
            elif name not in known:
                if name not in around:
                    raise _errors.bad_value(
                        f"{source}: {node.label}", "inputs that exist", f"{name!r}, which nothing makes"
                    )
                captured[name] = None
        waiting.append(needs)
    for value in outputs:
        if value.name not in maker and value.name not in known:
            if value.name not in around:
                raise missing(source, "outputs", value.name)
            captured[value.name] = None
    return _sorted(nodes, waiting, source), tuple(captured)


def _makers(nodes: list[Node], known: set[str], source: str) -> dict[str, int]:
    maker: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in maker or name in known:
                raise _errors.bad_value(
                    f"{source}: {node.label}", "a value made once", f"{name!r}, which is there already"
                )
            maker[name] = index
    return maker


def _sorted(nodes: list[Node], waiting: list[set[int]], source: str) -> list[Node]:
    """Sort by what each node waits for; a file in order stays as it is."""
    if all(all(need < index for need in needs) for index, needs in enumerate(waiting)):
        return nodes
    readers: list[list[int]] = [[] for _ in nodes]
    for index, needs in enumerate(waiting):
        for need in needs:
            readers[need].append(index)
    left = [len(needs) for needs in waiting]
    ready = [index for index, count in enumerate(left) if not count]
    for index in ready:
        for reader in readers[index]:
            left[reader] -= 1
            if not left[reader]:
                ready.append(reader)
    if len(ready) < len(nodes):
        stuck = next(node for node, count in zip(nodes, left, strict=True) if count)
        raise _errors.bad_value(f"{source}: {stuck.label}", "a graph without cycles", "a value that needs itself")
    return [nodes[index] for index in ready]
