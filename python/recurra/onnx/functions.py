"""Functions of a model's own, replaced by what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import ModelProto, inliner

from recurra import _errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onnx import NodeProto

MOST_NODES = 1_000_000  # after replacing
_VISITING = -1


def inline(model: ModelProto, source: str) -> ModelProto:
    """Return a model without functions of its own.

    Raises
    ------
    ValueError
        If a function calls itself, or calls multiply beyond a million nodes.
    """
    if not model.functions:
        return model
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    if _size(model.graph.node, bodies, sizes, source) > MOST_NODES:
        raise _errors.bad_value(source, f"at most {MOST_NODES} nodes", "functions that multiply beyond that")
    try:
        return inliner.inline_local_functions(model)
    except (ValueError, RuntimeError) as error:
        raise _errors.bad_value(source, "functions that can be replaced", str(error)) from None


def _size(
    nodes: Iterable[NodeProto],
    bodies: Mapping[tuple[str, str], Iterable[NodeProto]],
    sizes: dict[tuple[str, str], int],
    source: str,
) -> int:
    """Return how many nodes a list of nodes becomes."""
    total = 0
    for node in nodes:
        key = (node.domain, node.op_type)
        for attribute in node.attribute:
            total += _size(attribute.g.node, bodies, sizes, source) if attribute.HasField("g") else 0
        if key not in bodies:
            total += 1
            continue
        if sizes.get(key) == _VISITING:
            raise _errors.bad_value(source, "functions that end", f"{node.op_type!r}, which calls itself")
        if key not in sizes:
            sizes[key] = _VISITING
            sizes[key] = _size(bodies[key], bodies, sizes, source)
        total += sizes[key]
    return total
