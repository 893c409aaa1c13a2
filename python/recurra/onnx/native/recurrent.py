"""ONNX's RNN, LSTM and GRU as recurra's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.io import gates
from recurra.onnx.native.values import Call, Const, Data, Filled, Ref, Repeated, Stacked, Unmatched, data

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.onnx.graph import Node
    from recurra.onnx.native.reader import Reader
    from recurra.onnx.native.values import Meaning

_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_ARGUMENTS = {
    "RNN": ("activation",),
    "GRU": ("recurrent_activation", "activation"),
    "LSTM": ("recurrent_activation", "activation", "output_activation"),
}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
# Name in recurra, and the operators' defaults of alpha and beta (None: there is none).
_ACTIVATIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
    "relu": ("relu", ()),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
    "elu": ("elu", (1.0,)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "scaledtanh": ("scaled_tanh", (None, None)),
    "affine": ("affine", (None, None)),
}


def recurrent(node: Node, values: list[Meaning], reader: Reader) -> list[Meaning]:
    """A recurrent operator: all steps, the final states."""
    values = [*values, *(None,) * 8][:8]
    x, batched = values[0], bool(node.attributes.get("layout"))
    order = ((0,), (1,), (2,)) if batched else ((1,), (0,), (2,))
    if not isinstance(x, Data) or x.ref.rank != 3 or x.axes != order or x.ref.integers or values[4] is not None:
        raise Unmatched("an input of another form, or lengths")
    operator = _Operator(node, values, reader.dtype)
    if operator.features != x.ref.sizes[2]:
        raise Unmatched("weights for other features")
    weight = next((value.name for value in values[1:3] if isinstance(value, Const)), "")
    call = Call(operator.layer, [x.ref], operator.weights(), reader.name(node, weight), kind="recurrent")
    call.options = operator.options()
    _start(call, operator, values[5:7] if node.op_type == "LSTM" else values[5:6], batched, reader)
    return _outputs(call, operator, x.ref, batched, reader)


def _start(call: Call, operator: _Operator, states: list[Meaning], batched: bool, reader: Reader) -> None:
    """Give a call its initial states: none for zero, learned ones, or other layers' final ones."""
    states = [None if _zero(state) else state for state in states]
    if all(state is None for state in states):
        return
    if all(state is None or isinstance(state, Repeated) for state in states):
        call.options["trainable_initial_state"] = True
        for name, state in zip(("h0", "c0"), states, strict=False):
            zeros = np.zeros((operator.directions, operator.units), reader.dtype)
            call.weights[name] = state.array[:, 0] if isinstance(state, Repeated) else zeros
        return
    found = [_refs(state, operator.directions) for state in states]
    if batched:
        raise Unmatched("states batch first")
    call.inputs += [part[direction] for direction in range(operator.directions) for part in found]


def _zero(state: Meaning) -> bool:
    if isinstance(state, Const):
        return not state.array.any()
    return state is None or (isinstance(state, Filled) and state.number == 0.0)


def _refs(state: Meaning, directions: int) -> tuple[Ref, ...]:
    """Return the states of each direction."""
    if isinstance(state, Stacked) and len(state.refs) == directions:
        return state.refs
    if isinstance(state, Data) and directions == 1 and state.ref.rank == 2 and state.axes == ((), (0,), (1,)):
        return (state.ref,)
    raise Unmatched("states that are no layer's")


def _outputs(call: Call, operator: _Operator, x: Ref, batched: bool, reader: Reader) -> list[Meaning]:
    batch, time = x.sizes[:2]
    directions, units = operator.directions, operator.units
    width = directions * units
    kind = "reversed" if operator.reverse else "y"
    y = reader.result(call, (batch, time, width), kind)
    inner: Any = ((), (2,)) if directions == 1 else (("d",), ("u",))
    steps, samples = ((0,), (1,)) if batched else ((1,), (0,))
    axes = (steps, samples, *inner) if batched else (steps, inner[0], samples, inner[1])
    kinds = ("h", "c") if operator.op_type == "LSTM" else ("h",)
    finals: list[Meaning] = []
    for kind in kinds:
        refs = tuple(reader.result(call, (batch, units), f"{kind}{number}") for number in range(directions))
        whole = Stacked(refs) if directions == 2 else Data(refs[0], ((), (0,), (1,)))
        finals.append(data(refs[0]).viewed(((0,), (), (1,))) if batched and directions == 1 else whole)
        if batched and directions == 2:
            finals[-1] = None
    return [Data(y, axes, directions), *finals]


class _Operator:
    """Attributes and weights of one node, checked against each other."""

    def __init__(self, node: Node, values: list[Meaning], dtype: np.dtype[Any]) -> None:
        self.op_type, self.attributes = node.op_type, node.attributes
        self.cell = node.op_type.lower()
        direction = self.attributes["direction"] or "forward"
        self.reverse, self.directions = direction == "reverse", 2 if direction == "bidirectional" else 1
        self.w, self.r = (_array(values[index], dtype) for index in (1, 2))
        self.b = None if values[3] is None else _array(values[3], dtype)
        self.p = None if values[7] is None else _array(values[7], dtype)
        if self.w.ndim != 3 or self.r.ndim != 3:
            raise Unmatched("weights of another form")
        self.units, self.features = int(self.r.shape[2]), int(self.w.shape[2])
        rows = _GATES[node.op_type] * self.units
        expected: list[tuple[Array | None, tuple[int, ...]]] = [
            (self.w, (self.directions, rows, self.features)),
            (self.r, (self.directions, rows, self.units)),
            (self.b, (self.directions, 2 * rows)),
            (self.p, (self.directions, 3 * self.units)),
        ]
        if any(array is not None and array.shape != shape for array, shape in expected):
            raise Unmatched("weights of another form")
        if self.attributes["hidden_size"] not in (None, self.units):
            raise Unmatched("weights of another size")
        self.coupled = bool(self.attributes.get("input_forget"))

    @property
    def layer(self) -> Any:
        """The class of the layer."""
        from recurra.layers import LAYERS

        return LAYERS[self.op_type]

    def options(self) -> dict[str, Any]:
        """Return the arguments of the layer."""
        made: dict[str, Any] = {
            "units": self.units,
            "use_bias": self.b is not None,
            "bidirectional": self.directions == 2,
            "go_backwards": self.reverse,
            "clip": self.attributes["clip"],
            **dict(zip(_ARGUMENTS[self.op_type], self._activations(), strict=True)),
        }
        if self.op_type == "GRU":
            made["reset_after"] = bool(self.attributes["linear_before_reset"])
        if self.op_type == "LSTM":
            made |= {"input_forget": self.coupled, "use_peepholes": self.p is not None}
        return made

    def _activations(self) -> list[tuple[Any, ...]]:
        """Return the activations, which both directions must share."""
        names = [name.lower() for name in self.attributes["activations"] or _DEFAULTS[self.op_type] * self.directions]
        count = len(_DEFAULTS[self.op_type])
        if len(names) != count * self.directions or any(name not in _ACTIVATIONS for name in names):
            raise Unmatched("activations that are not known")
        given = [list(self.attributes[f"activation_{kind}"] or ()) for kind in ("alpha", "beta")]
        found = []
        for name in names:
            own, defaults = _ACTIVATIONS[name]
            numbers = [
                numbers.pop(0) if numbers else default for numbers, default in zip(given, defaults, strict=False)
            ]
            if None in numbers:
                raise Unmatched("an activation without its numbers")
            found.append((own, *numbers))
        if any(given) or found[:count] != found[-count:]:
            raise Unmatched("activations of each direction")
        return found[:count]

    # Weights in our names and order

    def weights(self) -> dict[str, Array]:
        """Return the layer's parameters."""
        found: dict[str, Array] = {}
        for number, suffix in enumerate(("_l0", "_l0_reverse")[: self.directions]):
            found["weight_ih" + suffix] = self._native(self.w[number])
            found["weight_hh" + suffix] = self._native(self.r[number])
            if self.b is not None:
                both = np.split(self.b[number], 2)
                found["bias_ih" + suffix], found["bias_hh" + suffix] = map(self._native, both)
            if self.p is not None:
                i, o, f = np.split(self.p[number], 3)
                found["weight_ph" + suffix] = np.concatenate([i, o] if self.coupled else [i, f, o])
        return found

    def _native(self, array: Array) -> Array:
        moved = gates.to_native(array, self.cell, "onnx")
        if not self.coupled:
            return moved
        i, _, g, o = np.split(moved, 4)
        return np.concatenate([i, g, o])


def _array(value: Meaning, dtype: np.dtype[Any]) -> Array:
    if not isinstance(value, Const) or value.array.dtype != dtype:
        raise Unmatched("weights that are no numbers of the file")
    return value.array
