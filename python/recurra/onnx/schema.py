"""The specification's own word on operators: versions, attributes, numbers of inputs and outputs."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnx import AttributeProto, ModelProto, NodeProto, defs

from recurra import _errors

OLDEST = 7
NEWEST = defs.onnx_opset_version()
DOMAINS = ("", "ai.onnx")


def opset_of(model: ModelProto, source: str) -> int:
    """Return the version of the operator set that a model asks for."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if not versions:
        raise _errors.bad_value(source, "an ONNX model that names its operator set", "none", "is the file damaged?")
    if not OLDEST <= versions[0] <= NEWEST:
        hint = "export it anew" if versions[0] < OLDEST else "a newer onnx package may know it"
        raise _errors.bad_value(source, f"an operator set from {OLDEST} to {NEWEST}", str(versions[0]), hint)
    return int(versions[0])


@cache
def find(op_type: str, opset: int) -> Any:
    """Return the schema of an operator, or None."""
    try:
        return defs.get_schema(op_type, opset, "")
    except defs.SchemaError:
        return None


def check_node(node: NodeProto, opset: int, where: str) -> Any:
    """Return a node's schema after checking the node against it."""
    if node.domain not in DOMAINS:
        raise _errors.bad_value(where, "an operator of ONNX itself", f"one of the domain {node.domain!r}")
    known = find(node.op_type, opset)
    if known is None or known.deprecated:
        hint = "see recurra.onnx.supported_operators() for those that run"
        raise _errors.bad_value(where, f"an operator of version {opset} of the set", f"{node.op_type!r}", hint)
    given = [attribute.name for attribute in node.attribute]
    for attribute in node.attribute:
        expected = known.attributes.get(attribute.name)
        if expected is None:
            names = ", ".join(sorted(known.attributes)) or "none"
            hint = f"in version {opset} of the set it has {names}"
            raise _errors.bad_value(where, "attributes of the operator", f"{attribute.name!r}", hint)
        if int(expected.type.value) != attribute.type:
            got = AttributeProto.AttributeType.Name(attribute.type)
            raise _errors.bad_value(where, f"attribute {attribute.name!r} as {expected.type.name}", got)
    if len(set(given)) != len(given):
        raise _errors.bad_value(where, "each attribute once", ", ".join(given))
    missing = [name for name, attribute in known.attributes.items() if attribute.required and name not in given]
    if missing:
        raise _errors.bad_value(where, f"attribute {missing[0]!r}", "none")
    for what, count, low, high in (
        ("inputs", len(node.input), known.min_input, known.max_input),
        ("outputs", len(node.output), known.min_output, known.max_output),
    ):
        if not low <= count <= high:
            raise _errors.bad_value(where, f"{low} to {high} {what}", str(count), f"version {opset} of the set")
    return known


def defaults(known: Any) -> dict[str, Any]:
    """Return the attributes of an operator with their defaults; None for those without one."""
    return {name: _default(attribute) for name, attribute in known.attributes.items()}


def _default(attribute: Any) -> Any:
    value = attribute.default_value
    return plain_value(value, "default") if value.type else None


def plain_value(proto: AttributeProto, where: str) -> Any:
    """Return an attribute of numbers or text as Python's."""
    kind = proto.type
    try:
        if kind == proto.STRING:
            return proto.s.decode()
        if kind == proto.STRINGS:
            return tuple(text.decode() for text in proto.strings)
    except UnicodeDecodeError:
        raise _errors.bad_value(where, f"text in attribute {proto.name!r}", "bytes that are no UTF-8") from None
    if kind == proto.INT:
        return int(proto.i)
    if kind == proto.FLOAT:
        return float(proto.f)
    if kind == proto.INTS:
        return tuple(proto.ints)
    if kind == proto.FLOATS:
        return tuple(proto.floats)
    name = AttributeProto.AttributeType.Name(kind)
    raise _errors.bad_value(where, f"attribute {proto.name!r} as numbers, text, an array or a graph", name)
