"""From calls of layers to a model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.layers.base import _snake
from recurra.onnx.native.values import Unmatched

if TYPE_CHECKING:
    from recurra.onnx.graph import Graph
    from recurra.onnx.native.reader import Reader
    from recurra.onnx.native.values import Call, Ref


def assembled(graph: Graph, reader: Reader, outputs: list[Ref]) -> Any:
    """Return the model that computes arrays, with its weights: a chain where it is one, else a graph."""
    from recurra.models import Model, Sequential

    calls = _calls(outputs)
    if not calls:
        raise Unmatched("no layers")
    layers = _Layers(calls, outputs, reader.dtype.name)
    if _is_chain(calls, reader.inputs, outputs) and not any(layers.returns_states(call) for call in calls):
        model: Any = Sequential([layers.made[id(call)] for call in calls])
        shape = [size if isinstance(size, int) else None for size in reader.inputs[0].sizes[1:]]
        model.build((None, *shape))
    else:
        inputs, found = layers.connected(graph, reader.inputs, outputs)
        model = Model(inputs, found)
    model._attach(np.zeros(model.size, model.dtype), np.zeros(model.size, model.dtype))
    for call in calls:
        layers.made[id(call)].load_state_dict(call.weights)
    return model


def _calls(outputs: list[Ref]) -> list[Call]:
    """Return the calls that outputs need, each behind those it reads."""
    order: list[Call] = []
    seen: set[int] = set()
    waiting = [(ref.call, False) for ref in reversed(outputs)]
    while waiting:  # a stack of our own: a graph may be deeper than Python's
        call, ready = waiting.pop()
        if call is None:
            continue
        if ready:
            order.append(call)
        elif id(call) not in seen:
            seen.add(id(call))
            waiting.append((call, True))
            waiting += [(ref.call, False) for ref in reversed(call.inputs)]
    return order


def _is_chain(calls: list[Call], inputs: list[Ref], outputs: list[Ref]) -> bool:
    """Whether each call reads what the one before made, and that alone."""
    if len(inputs) != 1 or len(outputs) != 1:
        return False
    before: Any = None
    for call in calls:
        if call.merges or len(call.inputs) != 1 or call.inputs[0].call is not before:
            return False
        if before is None and call.inputs[0] is not inputs[0]:
            return False
        before = call
    return outputs[0].call is before


class _Layers:
    """The layers of calls, under names of their own, and what recurrent ones return."""

    def __init__(self, calls: list[Call], outputs: list[Ref], dtype: str) -> None:
        self.calls = calls
        self.used: dict[int, set[str]] = {id(call): set() for call in calls}
        for ref in [*outputs, *(ref for call in calls for ref in call.inputs)]:
            if ref.call is not None:
                self.used[id(ref.call)].add(ref.output)
        self.made: dict[int, Any] = {}
        names = _distinct([call.name or _snake(call.make.__name__) for call in calls])
        for call, name in zip(calls, names, strict=True):
            options = {**call.options, "dtype": dtype}
            if call.kind == "recurrent":
                options |= self._returned(call)
            self.made[id(call)] = call.make(**options, name=name)

    def _returned(self, call: Call) -> dict[str, bool]:
        """Return which of its outputs a recurrent layer returns."""
        used = self.used[id(call)]
        if "reversed" in used:
            raise Unmatched("steps backwards in the order of the input")
        return {"return_sequences": "y" in used, "return_state": self.returns_states(call)}

    def returns_states(self, call: Call) -> bool:
        """Whether a layer must return final states, because its output does not hold them."""
        if call.kind != "recurrent":
            return False
        used = self.used[id(call)]
        own = {"y"} if "y" in used else {"last"} if call.options["bidirectional"] else {"h0", "last"}
        return bool(used - own)

    def connected(self, graph: Graph, inputs: list[Ref], outputs: list[Ref]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the placeholders of inputs and outputs by name, having called the layers."""
        from recurra.layers.symbolic import Input

        dtype = self.made[id(self.calls[0])].dtype.name
        tensors: dict[tuple[int, str], Any] = {}
        placed = {}
        for value, ref in zip(graph.inputs, inputs, strict=True):
            sizes = [size if isinstance(size, int) else None for size in ref.sizes[1:]]
            placed[value.name] = Input(sizes, dtype=str(value.dtype) if ref.integers else dtype, name=value.name)
            tensors[id(ref), ""] = placed[value.name]

        def find(ref: Ref) -> Any:
            return tensors[(id(ref), "") if ref.call is None else (id(ref.call), ref.output)]

        for call in self.calls:
            layer, read = self.made[id(call)], [find(ref) for ref in call.inputs]
            states = {"initial_state": read[1:]} if not call.merges and len(read) > 1 else {}
            result = layer(read if call.merges else read[0], **states)
            tensors.update({(id(call), output): tensor for output, tensor in self._outputs(call, result)})
        return placed, {value.name: find(ref) for value, ref in zip(graph.outputs, outputs, strict=True)}

    def _outputs(self, call: Call, result: Any) -> list[tuple[str, Any]]:
        """Return the outputs of a call by what they are."""
        if call.kind != "recurrent":
            return [("", result)]
        listed = result if isinstance(result, list) else [result]
        kinds = "hc" if "c0" in self._states(call) else "h"
        both = call.options["bidirectional"]
        names = [f"{kind}{number}" for number in range(2 if both else 1) for kind in kinds]
        found = [("y" if self.made[id(call)].return_sequences else "last", listed[0])]
        found += zip(names, listed[1:], strict=True) if len(listed) > 1 else []
        known = dict(found)
        if "last" not in known and "last" in self.used[id(call)]:
            from recurra.layers import Concatenate

            known["last"] = Concatenate(dtype=self.made[id(call)].dtype)([known["h0"], known["h1"]])
        if not both and "h0" not in known and "last" in known:
            known["h0"] = known["last"]
        return list(known.items())

    def _states(self, call: Call) -> list[str]:
        return ["h0", "c0"] if self.made[id(call)].cell == "lstm" else ["h0"]


def _distinct(names: list[str]) -> list[str]:
    """Return names, those that others have with a number."""
    taken, numbers = set(names), Counter[str]()
    made, seen = [], set[str]()
    for name in names:
        unique = name
        while unique in seen or (unique != name and unique in taken):
            numbers[name] += 1
            unique = f"{name}_{numbers[name]}"
        seen.add(unique)
        made.append(unique)
    return made
