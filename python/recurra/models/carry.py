"""How a model runs the layers inside it, with the states that truncated backpropagation through time carries on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.recurrent import Recurrent
from recurra.layers.weights import inside
from recurra.training.runnable import Runnable

if TYPE_CHECKING:
    from recurra._typing import Array, Pullback
    from recurra.layers.base import Layer


class Carry:
    """The states of a model's recurrent layers after the last stretch, detached: gradients stop at it.

    They are kept by the number of the call that left them, those of an inner model in a `Carry` of its own, so that a
    layer called twice has two.
    """

    def __init__(self) -> None:
        self._states: dict[int, Any] = {}
        self._inner: dict[int, Carry] = {}
        self._rows = 0

    def begin(self, rows: int, resets: Array | None = None) -> None:
        """Begin a batch of so many rows: start anew in all of them, or in those where the boolean array is True."""
        if resets is None or resets.all():
            self._states.clear()
            self._inner.clear()
        elif self._rows not in (0, rows):
            hint = "each row of a stateful data set continues that row of the batch before; or all rows are reset"
            raise _errors.bad_value("x", f"{self._rows} samples, as in the batch before", f"{rows}", hint)
        elif resets.any():
            self._clear(resets)
        self._rows = rows

    def _clear(self, rows: Array) -> None:
        self._states = {place: _cleared(states, rows) for place, states in self._states.items()}
        for inner in self._inner.values():
            inner._clear(rows)

    def get_state(self) -> list[Any]:
        """Return the rows and all states, for a run that is saved."""
        return [self._rows, list(self._states.items()), [[k, one.get_state()] for k, one in self._inner.items()]]

    def set_state(self, state: list[Any]) -> None:
        """Take on what `get_state` returned."""
        self._rows, states, inner = state
        self._states = {place: list(arrays) for place, arrays in states}
        for place, one in inner:
            self._within(place).set_state(one)

    def _within(self, place: int) -> Carry:
        return self._inner.setdefault(place, Carry())


def run(
    layer: Layer, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None, place: int
) -> tuple[list[Array], list[Any]]:
    """Return the outputs of a model's call number ``place``, and the lengths of each."""
    if isinstance(layer, Runnable):
        return layer._outputs(inputs, lengths, training, seed, None if carry is None else carry._within(place))
    after = layer._node_lengths(inputs, lengths)
    if carry is None or not layer.carries:
        return layer._apply_node(inputs, lengths, training, seed), after
    _check_alone(layer, inputs)
    states = carry._states.get(place)
    y, carry._states[place] = layer._apply_carried(inputs[0], lengths[0], training, seed, states)
    return [y], after


def tape(
    layer: Layer, inputs: list[Array], lengths: list[Any], training: bool, seed: int, carry: Carry | None, place: int
) -> tuple[list[Array], list[Any], Pullback]:
    """Return the same, and the function from the outputs' gradients (a list) to those of the inputs (a list)."""
    if isinstance(layer, Runnable):
        return layer._taped(inputs, lengths, training, seed, None if carry is None else carry._within(place))
    after = layer._node_lengths(inputs, lengths)
    if carry is None or not layer.carries:
        outputs, pullback = layer._differentiate_node(inputs, lengths, training, seed)
        return outputs, after, pullback
    _check_alone(layer, inputs)
    states = carry._states.get(place)
    y, single, carry._states[place] = layer._differentiate_carried(inputs[0], lengths[0], training, seed, states)
    return [y], after, lambda dys, *, need_dx=True: [single(dys[0], need_dx=need_dx)]


def checked_stretch(model: Layer, tbptt: Any) -> int:
    """Return the steps of a stretch; no layer may read from the end, as a stretch does not say what comes after it."""
    for inner in inside(model):
        engine = inner.options if isinstance(inner, Recurrent) else {}
        if engine.get("bidirectional") or engine.get("go_backwards") or getattr(inner, "go_backwards", False):
            hint = "states are carried on from the past alone"
            raise _errors.bad_value("tbptt", "layers that read forwards", f"{inner.name!r}", hint)
    return _errors.check_integer("tbptt", tbptt, 1)


def _check_alone(layer: Layer, inputs: list[Array]) -> None:
    if len(inputs) > 1 or getattr(layer, "return_state", False):
        hint = "stretch by stretch, states go from each layer to itself"
        got = f"{layer.name!r} with initial_state or return_state=True"
        raise _errors.bad_value("model", "layers that pass no states on, where states are carried", got, hint)


def _cleared(states: Any, rows: Array) -> Any:
    """Return states (stack, batch, units), None or nested lists of such, with zero in some rows of the batch."""
    if isinstance(states, list | tuple):
        return [_cleared(state, rows) for state in states]
    if states is None:
        return None
    states = np.array(states)
    states[:, rows] = 0.0
    return states
