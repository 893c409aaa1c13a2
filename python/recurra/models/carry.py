"""States carried from one stretch of a sequence to the next, for truncated backpropagation through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from recurra._typing import Array, Pullback
    from recurra.layers.base import Layer


class Carry:
    """The states of a model's recurrent layers after the last stretch, detached: gradients stop at it."""

    def __init__(self) -> None:
        self._states: dict[int, Any] = {}

    def reset(self, rows: Array | None = None) -> None:
        """Start anew: all rows, or those where the boolean array is True."""
        if rows is None or rows.all():
            self._states.clear()
        elif rows.any():
            self._states = {key: _cleared(states, rows) for key, states in self._states.items()}

    def apply(self, layer: Layer) -> Callable[..., Array]:
        """Return the layer's ``_apply`` that starts from the carried states and leaves its own."""
        if not layer.carries:
            return layer._apply

        def run(x: Any, lengths: Any, training: bool, seed: int) -> Array:
            y, self._states[id(layer)] = layer._apply_carried(x, lengths, training, seed, self._states.get(id(layer)))
            return y

        return run

    def differentiate(self, layer: Layer) -> Callable[..., tuple[Array, Pullback]]:
        """Return the layer's ``_differentiate`` that starts from the carried states and leaves its own."""
        if not layer.carries:
            return layer._differentiate

        def run(x: Any, lengths: Any, training: bool, seed: int) -> tuple[Array, Pullback]:
            y, pullback, self._states[id(layer)] = layer._differentiate_carried(
                x, lengths, training, seed, self._states.get(id(layer))
            )
            return y, pullback

        return run


def _cleared(states: Any, rows: Array) -> Any:
    """Return states (stack, batch, units), None or nested lists of such, with zero in some rows of the batch."""
    if isinstance(states, list | tuple):
        return [_cleared(state, rows) for state in states]
    if states is None:
        return None
    states = np.array(states)
    states[:, rows] = 0.0
    return states
