"""The calls of layers in the configuration of a functional model, of both generations, as one kind of record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from recurra import _errors

_DEPTH = 8  # of lists in lists of a call's arguments


class Ref(NamedTuple):
    """An array in a graph: output ``output`` of call number ``call`` of a layer."""

    layer: str
    call: int
    output: int


@dataclass
class Call:
    """One call of a layer.

    Attributes
    ----------
    layer : str
        Keras's name.
    number : int
        Among the calls of that layer.
    inputs : list of Ref
        In the order of the call's positional arguments; for recurrent layers the initial states follow the input.
    masks : list of (Ref or None)
        Given masks, as Keras 3 writes also those that it passed on by itself.
    constants : list
        Arguments that are no arrays.
    """

    layer: str
    number: int
    inputs: list[Ref] = field(default_factory=list)
    masks: list[Ref | None] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def refs(self) -> list[Ref]:
        """Return all arrays that it reads."""
        return [*self.inputs, *(mask for mask in self.masks if mask is not None)]


def calls_of(description: dict[str, Any]) -> list[Call]:
    """Return the calls of a layer from its part of the configuration.

    Raises
    ------
    ValueError
        If they hold what cannot be honoured.
    """
    name, nodes = description.get("name"), description.get("inbound_nodes", [])
    if not isinstance(name, str) or not isinstance(nodes, list):
        raise _errors.bad_value("config", "layers with a name and inbound_nodes", f"{name!r}"[:100])
    made = []
    for number, node in enumerate(nodes):
        call = Call(name, number)
        if isinstance(node, dict):
            _new(call, node)
        elif isinstance(node, list):
            _old(call, node)
        else:
            raise _wrong(call, "a call", repr(node)[:100])
        made.append(call)
    return made


def _wrong(call: Call, expected: str, got: str) -> ValueError:
    return _errors.bad_value(f"call {call.number + 1} of layer {call.layer!r}", expected, got)


# Keras 3: {"args": [...], "kwargs": {...}} with arrays as {"class_name": "__keras_tensor__", ...}


def _new(call: Call, node: dict[str, Any]) -> None:
    args, options = node.get("args"), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(options, dict):
        raise _wrong(call, "args and kwargs", repr(node)[:100])
    for value in args:
        _argument(call, value, 0)
    _options(call, options)


def _argument(call: Call, value: Any, depth: int) -> None:
    ref = ref_of(value)
    if ref is not None:
        call.inputs.append(ref)
    elif isinstance(value, list) and depth < _DEPTH:
        for part in value:
            _argument(call, part, depth + 1)
    elif value is not None:
        call.constants.append(value)


def _options(call: Call, options: dict[str, Any]) -> None:
    """Take a call's keywords: initial states and masks; others must be off."""
    for key, value in options.items():
        if key in ("initial_state", "inputs", "sequences"):
            _argument(call, value, 0)
        elif key == "mask":
            call.masks += [
                ref_of(part) for part in (value if isinstance(value, list) and not _old_ref(value) else [value])
            ]
        elif value not in (None, False):
            raise _wrong(call, f"{key}=None or False", repr(value)[:100])


def ref_of(value: Any) -> Ref | None:
    """Return the array that a value of the configuration stands for, or None."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        value = config.get("keras_history") if isinstance(config, dict) else None
    return Ref(*value[:3]) if _old_ref(value) else None


def _old_ref(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(type(part) is int and part >= 0 for part in value[1:3])
        and (len(value) == 3 or isinstance(value[3], dict))
    )


# Keras 2: [[layer, call, output, {keywords}], ...]


def _old(call: Call, node: list[Any]) -> None:
    listed = [node] if _old_ref(node) else node
    for part in listed:
        ref = ref_of(part)
        if ref is None:
            raise _wrong(call, "arrays as [layer, call, output, keywords]", repr(part)[:100])
        call.inputs.append(ref)
        if len(part) == 4:
            _options(call, part[3])


def refs_in(argument: str, value: Any) -> list[Ref] | dict[str, Ref]:
    """Return the arrays that ``input_layers`` or ``output_layers`` names, in a list or by name."""
    if isinstance(value, dict):
        named = {key: ref_of(part) for key, part in value.items()}
        if named and all(ref is not None for ref in named.values()):
            return named  # type: ignore[return-value]  # none of them is None
    one = ref_of(value)
    found = [one] if one is not None else [ref_of(part) for part in value] if isinstance(value, list) else []
    refs = [ref for ref in found if ref is not None]
    if not refs or len(refs) != len(found):
        raise _errors.bad_value(argument, "arrays as [layer, call, output]", repr(value)[:100])
    return refs
