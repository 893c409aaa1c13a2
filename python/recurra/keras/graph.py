"""Functional models: the calls of a configuration drawn with our layers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from recurra import _errors, layers
from recurra.keras.calls import Call, Ref, calls_of, refs_in
from recurra.keras.masks import Flow, Step
from recurra.layers.symbolic import SymbolicTensor
from recurra.models import Functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra.keras.loader import Loader

# Operations on arrays that Keras 3 writes like layers, and the layers that do the same to two arrays of one shape.
_OPERATIONS = {"Add": layers.Add, "Subtract": layers.Subtract, "Multiply": layers.Multiply, "Maximum": layers.Maximum,
               "Minimum": layers.Minimum}  # fmt: skip
# What masks are made of: by Embedding and Masking, and by Concatenate.
_MASKS = {"NotEqual", "Any", "LogicalOr", "ExpandDims", "ZerosLike", "OnesLike", "Concatenate"}


def is_operation(description: dict[str, Any], generation: int | None) -> bool:
    """Return whether a part of a configuration is one of Keras 3's operations rather than a layer."""
    module, config = description.get("module"), description.get("config")
    if isinstance(module, str):
        return ".ops." in f"{module}."
    # .h5 files do not tell the module, but no layer is without these
    return generation == 3 and isinstance(config, dict) and not {"trainable", "dtype", "layers"} & set(config)


class Drawing:
    """A functional model in the making.

    Parameters
    ----------
    loader : Loader
        Makes the layers.
    config : dict
        Of the model.
    """

    def __init__(self, loader: Loader, config: dict[str, Any]) -> None:
        self.loader, self.flow = loader, Flow(loader.generation, loader.zeros)
        self.layers: dict[str, Any] = {}  # our layers, inputs' placeholders, or descriptions of operations
        self.kinds: dict[str, str] = {}
        self.tensors: dict[Ref, SymbolicTensor] = {}
        self.masks: dict[Ref, frozenset[Any]] = {}  # what masks are made of, see `Step`
        self.numbers: dict[int, int] = {}  # of arrays, by id
        descriptions = config.get("layers")
        if not isinstance(descriptions, list):
            raise _errors.bad_value("config", "a list of layers", repr(descriptions)[:100])
        self.calls: list[Call] = []
        for description in descriptions:
            self._declare(description)
        self.inputs = refs_in("input_layers", config.get("input_layers"))
        self.outputs = refs_in("output_layers", config.get("output_layers"))
        self._renumber([*(self.outputs.values() if isinstance(self.outputs, dict) else self.outputs)])
        layers = [call for call in self.calls if self.kinds[call.layer] != "operation"]
        read = {ref.layer for call in layers for ref in call.inputs if self._integers(call)}
        floats = {ref.layer for call in layers for ref in call.inputs if not self._integers(call)}
        for name, description in self.layers.items():
            if self.kinds[name] == "InputLayer":
                tensor = self.layers[name] = loader.input(description, name in read and name not in floats)
                self._note(Ref(name, 0, 0), tensor)

    def _declare(self, description: Any) -> None:
        if not isinstance(description, dict) or not isinstance(description.get("class_name"), str):
            raise _errors.bad_value("config", "layers with a class_name", repr(description)[:100])
        name = description.get("name", (description.get("config") or {}).get("name"))
        if not isinstance(name, str) or name in self.layers:
            raise _errors.bad_value("config", "layers of different names", repr(name)[:100])
        kind = description["class_name"]
        operation = is_operation(description, self.loader.generation)
        self.kinds[name] = "operation" if operation else kind
        kept = operation or kind == "InputLayer"
        self.layers[name] = description if kept else self.loader.layer(description)
        if kind != "InputLayer":
            nodes = description.get("inbound_nodes")
            self.loader.count(len(nodes) if isinstance(nodes, list) else 0)
            self.calls += calls_of({**description, "name": name})

    def _renumber(self, outputs: list[Ref]) -> None:
        """Count the calls of models from 1 where the file does: Keras 2 made the first one when it made the model."""
        named: dict[str, set[int]] = {}
        for ref in [*outputs, *(ref for call in self.calls for ref in call.refs())]:
            named.setdefault(ref.layer, set()).add(ref.call)
        for call in self.calls:
            numbers = named.get(call.layer, {0})
            if id(self.layers[call.layer]) in self.loader.flows and 0 not in numbers:
                call.number += 1

    def _integers(self, call: Call) -> bool:
        layer = self.layers[call.layer]
        return bool(getattr(layer, "integer_input", False))

    def _note(self, ref: Ref, tensor: SymbolicTensor) -> None:
        self.tensors[ref] = tensor
        self.numbers.setdefault(id(tensor), len(self.numbers))

    def model(self, name: str | None) -> tuple[Functional, Flow]:
        """Return the model, and the record of its calls."""
        waiting = {id(call): {ref for ref in call.refs() if not self._known(ref)} for call in self.calls}
        readers: dict[Ref, list[Call]] = {}
        for call in self.calls:
            for ref in waiting[id(call)]:
                readers.setdefault(ref, []).append(call)
        ready = deque(call for call in self.calls if not waiting[id(call)])
        done = 0
        while ready:
            call = ready.popleft()
            done += 1
            for ref in self._draw(call):
                for reader in readers.pop(ref, ()):
                    waiting[id(reader)].discard(ref)
                    if not waiting[id(reader)]:
                        ready.append(reader)
        if done < len(self.calls):
            stuck = next(call for call in self.calls if waiting[id(call)])
            ref = next(iter(waiting[id(stuck)]))
            expected = (
                f"calls that read what others have made; {stuck.layer!r} reads output {ref.output} of {ref.layer!r}"
            )
            raise _errors.bad_value("config", expected, "a circle, or none such")
        return self._made(name)

    def _known(self, ref: Ref) -> bool:
        return ref in self.tensors or ref in self.masks

    def _draw(self, call: Call) -> list[Ref]:
        """Draw a call whose inputs are there; return what it makes."""
        if self.kinds[call.layer] == "operation":
            return self._operate(call)
        layer, kind = self.layers[call.layer], self.kinds[call.layer]
        if call.constants:
            raise _errors.bad_value(f"layer {call.layer!r}", "a call on arrays", repr(call.constants[0])[:100])
        tensors = [self.tensors[ref] for ref in call.inputs if ref in self.tensors]
        if len(tensors) != len(call.inputs) or not tensors:
            raise _errors.bad_value(f"layer {call.layer!r}", "a call on arrays", "masks as inputs")
        return self._called(call, layer, kind, tensors)

    def _called(self, call: Call, layer: Any, kind: str, tensors: list[SymbolicTensor]) -> list[Ref]:
        made: Any
        if layer.merges:
            made = layer(tensors)
        else:
            states = {"initial_state": tensors[1:]} if len(tensors) > 1 else {}
            made = layer(tensors[0], **states)
        outputs: Sequence[SymbolicTensor] = made if isinstance(made, list) else [made]
        refs = [Ref(call.layer, call.number, index) for index in range(len(outputs))]
        for ref, tensor in zip(refs, outputs, strict=True):
            self._note(ref, tensor)
        read = [self.numbers[id(tensor)] for tensor in tensors]
        made_here = [self.numbers[id(tensor)] for tensor in outputs]
        told = self._told(call) if any(mask is not None for mask in call.masks) else None
        self.flow.calls.append(Step(kind, layer, read, made_here, self.loader.flows.get(id(layer)), told))
        return refs

    # Operations of Keras 3, which are no layers

    def _operate(self, call: Call) -> list[Ref]:
        kind, place = self.layers[call.layer]["class_name"], Ref(call.layer, call.number, 0)
        arrays = [self.tensors[ref] for ref in call.inputs if ref in self.tensors]
        if kind in _MASKS and (kind != "Concatenate" or not arrays):
            self.masks[place] = self._mask(kind, call, arrays)
            return [place]
        shapes = {tensor.shape for tensor in arrays}
        if kind not in _OPERATIONS or call.constants or len(arrays) != 2 or len(call.inputs) != 2 or len(shapes) > 1:
            known = ", ".join(_OPERATIONS)
            expected = f"layers, or the operations {known} on two arrays of one shape"
            raise _errors.bad_value(f"operation {call.layer!r}", expected, f"{kind!r} with other arguments")
        made = _OPERATIONS[kind](name=self.loader.name(call.layer), dtype=arrays[0].dtype.name)
        return self._called(call, made, kind, arrays)

    def _mask(self, kind: str, call: Call, arrays: list[SymbolicTensor]) -> frozenset[Any]:
        """Return of what a mask is made: the arrays whose padding it tells, each with what padding holds."""
        if kind == "NotEqual" and len(arrays) == 1 and len(call.constants) == 1 and len(call.inputs) == 1:
            if isinstance(call.constants[0], int | float):
                return frozenset([(self.numbers[id(arrays[0])], call.constants[0])])
        elif kind in ("ZerosLike", "OnesLike") or not arrays:
            return frozenset[Any]().union(*(self.masks[ref] for ref in call.inputs if ref in self.masks))
        raise _errors.bad_value(f"operation {call.layer!r}", "masks from Embedding or Masking", "another one")

    def _told(self, call: Call) -> frozenset[Any]:
        """Return of what the masks given to a call are made."""
        given = [mask for mask in call.masks if mask is not None]
        if any(mask not in self.masks for mask in given):
            raise _errors.bad_value(f"layer {call.layer!r}", "masks from Embedding or Masking", "an array as mask")
        return frozenset[Any]().union(*(self.masks[mask] for mask in given))

    def _made(self, name: str | None) -> tuple[Functional, Flow]:
        ends = []
        for argument, refs in (("input_layers", self.inputs), ("output_layers", self.outputs)):
            listed = list(refs.values()) if isinstance(refs, dict) else refs
            missing = [ref for ref in listed if ref not in self.tensors]
            if missing:
                raise _errors.bad_value(argument, "arrays of the graph", f"{missing[0].layer!r}")
            tensors = [self.tensors[ref] for ref in listed]
            ends.append(dict(zip(refs, tensors, strict=True)) if isinstance(refs, dict) else tensors)
            numbers = [self.numbers[id(tensor)] for tensor in tensors]
            setattr(self.flow, "inputs" if argument == "input_layers" else "outputs", numbers)
        return Functional(*ends, name=name), self.flow
