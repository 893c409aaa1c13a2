"""Recurrent layers as ONNX's RNN, LSTM and GRU.

ONNX keeps sequences as (time, batch, features), outputs as (time, direction, batch, units), states as (direction,
batch, units), and one operator for each layer of a stack. What its operators cannot say is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.io import gates

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.activations import Activation
    from recurra.onnx.export.graph import Scope, Value

_OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
# ONNX's name of an activation and how many of alpha and beta it takes.
ACTIVATIONS = {
    "tanh": ("Tanh", 0),
    "sigmoid": ("Sigmoid", 0),
    "relu": ("Relu", 0),
    "hard_sigmoid": ("HardSigmoid", 2),
    "softsign": ("Softsign", 0),
    "softplus": ("Softplus", 0),
    "elu": ("Elu", 1),
    "leaky_relu": ("LeakyRelu", 1),
    "thresholded_relu": ("ThresholdedRelu", 1),
    "scaled_tanh": ("ScaledTanh", 2),
    "affine": ("Affine", 2),
    "identity": ("Affine", 2),
}
# Options that change what inference computes and that no operator has.
_REFUSED = {
    "proj_size": "a projection (proj_size)",
    "layer_norm": "layer normalisation in the cell (layer_norm)",
    "cell_clip": "a bound on the cell state (cell_clip)",
}


def recurrent(layer: Any, inputs: list[Value], scope: Scope) -> list[str]:
    """Emit a recurrent layer; its initial states follow its input."""
    check(layer)
    x, *initial = inputs
    stack = _Stack(layer, scope, x)
    starts = stack.starts([state.name for state in initial])
    sequence, states = stack.read(), []
    merged = ""
    for number in range(layer.options["num_layers"]):
        sequence, merged, own = stack.emit(number, sequence, starts[number])
        states += own
    y = scope.transpose(sequence, 1, 0, 2) if layer.return_sequences else merged
    return [y, *states] if layer.return_state else [y]


def check(layer: Any) -> None:
    """Raise ValueError, naming the layer and the option, if no operator of ONNX computes what it does."""
    for name, words in _REFUSED.items():
        if layer.options.get(name):
            raise _errors.bad_value("model", "layers that ONNX's operators can say", f"{words} in {layer.name!r}")
    if any(layer.options["zoneout"]):
        hint = "at inference zoneout mixes old and new states, which no operator of ONNX does"
        raise _errors.bad_value("model", "layers that ONNX's operators can say", f"zoneout in {layer.name!r}", hint)


def stack(layer: Any, inputs: list[Value], scope: Scope) -> list[str]:
    """Emit a `RecurrentStack`: its layers one by one."""
    from recurra.onnx.export.layers import emit

    x, *initial = inputs
    states: list[str] = []
    for index, inner in enumerate(layer.layers):
        count = len(inner._output_shapes(x.shape)) - 1
        own, initial = initial[:count], initial[count:]
        outputs = emit(inner, [x, *own], scope.inside(inner, str(index)))
        x, states = outputs[0], states + [state.name for state in outputs[1:]]
    return [x.name, *states] if layer.return_state else [x.name]


class _Stack:
    """One call of a recurrent layer of one or more layers and directions."""

    def __init__(self, layer: Any, scope: Scope, x: Value) -> None:
        self.layer, self.scope, self.x = layer, scope, x
        self.directions = layer.directions
        self.kinds = 2 if layer.cell == "lstm" else 1
        self.counts = "" if x.lengths is None else scope.cast(x.lengths, np.int32)

    def read(self) -> str:
        """Return the input as (time, batch, features), its steps in the order of computation."""
        x = self.scope.transpose(self.x.name, 1, 0, 2)
        if not self.layer.options["go_backwards"]:
            return x
        if self.x.lengths is None:
            return self.scope.slice(x, 0, -1, -(2**63), -1)
        return self.scope.node("ReverseSequence", x, self.x.lengths, time_axis=0, batch_axis=1)

    # States

    def starts(self, given: list[str]) -> list[list[str]]:
        """Return the initial states of each layer as (direction, batch, size); an empty name for zero."""
        layers = self.layer.options["num_layers"]
        if given:
            per_layer = self.directions * self.kinds
            own = [given[number * per_layer : (number + 1) * per_layer] for number in range(layers)]
            return [[self._joined(states[kind :: self.kinds]) for kind in range(self.kinds)] for states in own]
        if not self.layer.learned_state:
            return [[""] * self.kinds for _ in range(layers)]
        return [[self._learned(name, number) for name in ("h0", "c0")[: self.kinds]] for number in range(layers)]

    def _joined(self, states: list[str]) -> str:
        wide = [self.scope.unsqueeze(state, 0) for state in states]
        return wide[0] if len(wide) == 1 else self.scope.node("Concat", *wide, axis=0)

    def _learned(self, name: str, number: int) -> str:
        """Return a learned state, repeated for the batch."""
        directions, scope = self.directions, self.scope
        rows = slice(number * directions, (number + 1) * directions)

        def make() -> Array:
            state: Array = self.layer._views[0][name][rows]
            return state[:, None]

        state = scope.weight(f"{name}_l{number}", make)
        size = self.layer._views[0][name].shape[1]
        shape = scope.node("Concat", scope.ints(directions), scope.size(self.x.name, 0), scope.ints(size), axis=0)
        return scope.node("Expand", state, shape)

    def _final(self, state: str, start: str) -> str:
        """Return the state after a layer's steps: runtimes give 0 to samples of no steps, where it is the first one."""
        if not start or self.x.lengths is None:
            return state
        empty = self.scope.node("Equal", self.x.lengths, self.scope.integer(0))
        return self.scope.node("Where", self.scope.unsqueeze(empty, 0, 2), start, state)

    # One layer

    def _operator(self, number: int, x: str, starts: list[str]) -> list[str]:
        """Emit the operator and return its outputs: all steps, final h (, final c)."""
        inputs = [x, *self._weights(number), self.counts, *starts]
        if self.layer.options.get("use_peepholes"):
            inputs.append(self._weight("P", number, self._peepholes))
        while not inputs[-1]:
            inputs.pop()
        outputs = self.scope.nodes(_OPERATORS[self.layer.cell], inputs, 1 + self.kinds, **self._attributes())
        return [outputs[0], *(self._final(*pair) for pair in zip(outputs[1:], starts, strict=True))]

    def emit(self, number: int, x: str, starts: list[str]) -> tuple[str, str, list[str]]:
        """Emit a layer; return all outputs (time, batch, outputs), the last one, and states as Keras lists them."""
        y, *finals = self._operator(number, x, starts)
        states = [self._state(final, d) for d in range(self.directions) for final in finals]
        if self.directions == 1:
            return self.scope.squeeze(y, 1), states[0], states
        return self._merged(y, 1, 4), self._merged(finals[0], 0, 3), states

    def _state(self, final: str, direction: int) -> str:
        if self.directions == 1:
            return self.scope.squeeze(final, 0)
        return self.scope.node("Gather", final, self.scope.integer(direction), axis=0)

    def _merged(self, y: str, axis: int, rank: int) -> str:
        """Return both directions' outputs as one."""
        mode, scope = self.layer.options["merge_mode"], self.scope
        if mode != "concat":
            return scope.reduce({"sum": "ReduceSum", "mul": "ReduceProd", "ave": "ReduceMean"}[mode], y, [axis])
        perm = [place for place in range(rank) if place != axis]
        beside = scope.transpose(y, *perm[:-1], axis, perm[-1])
        return scope.node("Reshape", beside, scope.ints(*(0,) * (rank - 2), self.directions * self.layer.units))

    # Attributes and weights

    def _attributes(self) -> dict[str, Any]:
        options = self.layer.options
        names = {
            "rnn": ("activation",),
            "gru": ("recurrent_activation", "activation"),
            "lstm": ("recurrent_activation", "activation", "output_activation"),
        }[self.layer.cell]
        given = {
            **activations([options[name] for name in names] * self.directions),
            "hidden_size": self.layer.units,
            "direction": "bidirectional" if self.directions == 2 else "forward",
            "clip": options["clip"] or None,
        }
        if self.layer.cell == "gru":
            given["linear_before_reset"] = int(options["reset_after"])
        if options.get("input_forget"):
            given["input_forget"] = 1
        return given

    def _weights(self, number: int) -> list[str]:
        def products(kind: str) -> Any:
            return lambda view: self._gates(view(f"weight_{kind}"))

        names = [self._weight("W", number, products("ih")), self._weight("R", number, products("hh"))]
        if not self.layer.options["use_bias"]:
            return [*names, ""]
        return [*names, self._weight("B", number, self._biases)]

    def _weight(self, name: str, number: int, make: Any) -> str:
        """Return a weight of a layer, both directions in one array; ``make`` gets what finds a parameter."""

        def both() -> Array:
            views = self.layer._views[0]
            suffixes = [f"_l{number}", f"_l{number}_reverse"][: self.directions]
            return np.stack([make(lambda kind, end=suffix: views[kind + end]) for suffix in suffixes])

        return self.scope.weight(f"{name}_l{number}", both)

    def _gates(self, array: Array) -> Array:
        """Return gates in ONNX's order; a coupled cell's forget gate, which nobody reads, is 0."""
        if self.layer.options.get("input_forget"):
            i, g, o = np.split(array, 3)
            array = np.concatenate([i, np.zeros_like(i), g, o])
        return gates.from_native(array, self.layer.cell, "onnx")

    def _biases(self, view: Any) -> Array:
        return np.concatenate([self._gates(view("bias_ih")), self._gates(view("bias_hh"))])

    def _peepholes(self, view: Any) -> Array:
        """Return the peepholes i, o, f of ours, which are i, f, o, or i, o of a coupled cell."""
        parts = np.split(view("weight_ph"), 2 if self.layer.options["input_forget"] else 3)
        return np.concatenate([parts[0], parts[-1], parts[1] if len(parts) == 3 else np.zeros_like(parts[0])])


def activations(chosen: list[Activation]) -> dict[str, Any]:
    """Return the attributes that say activations; alpha and beta are listed for those alone that take them."""
    names, alphas, betas = [], [], []
    for name, alpha, beta in chosen:
        operator, count = ACTIVATIONS[name]
        alpha = 1.0 if name == "identity" else alpha
        names.append(operator)
        alphas += [alpha] if count > 0 else []
        betas += [beta] if count > 1 else []
    return {"activations": names, "activation_alpha": alphas or None, "activation_beta": betas or None}
