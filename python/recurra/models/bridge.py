"""From the final states of an encoder to the first ones of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.layers.base import Layer
from recurra.layers.dense import Dense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array, Pullback, Shape


class Bridge(Layer):
    """States side by side, through a dense layer (tanh) each where their sizes do not fit.

    Parameters
    ----------
    sizes : list of int
        Columns of the decoder's states.
    groups : list of list of int, or None
        Which of the encoder's states stand side by side in each of them; None: all in each, behind dense layers.
    dtype
        See `Layer`.

    Attributes
    ----------
    parameters : dict of str to numpy.ndarray
        Of dense layer number k under ``"k."``.
    """

    merges = True

    def __init__(self, sizes: Sequence[int], groups: list[list[int]] | None, *, dtype: Any = "float32") -> None:
        super().__init__(dtype=dtype)
        self.sizes, self.groups = list(sizes), groups
        self.dense = [] if groups is not None else [Dense(size, activation="tanh", dtype=dtype) for size in sizes]

    def build(self, input_shape: Any) -> None:
        """Build for the encoder's states, a list of (batch, columns)."""
        was_built = self.built
        super().build(input_shape)
        if was_built:
            return
        self.widths = [shape[-1] for shape in input_shape]
        for index, layer in enumerate(self.dense):
            layer.build((None, sum(self.widths)))
            self._adopt(layer, str(index))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape of all of the decoder's states side by side."""
        return (None, sum(self.sizes))

    def start(self, states: list[Array]) -> tuple[list[Array], Pullback]:
        """Return the decoder's first states, and the function from their gradients to those of ``states``."""
        groups = self.groups or [list(range(len(states)))] * len(self.sizes)
        joined = [np.concatenate([states[i] for i in group], axis=1) for group in groups]
        taped = [layer._differentiate(x, None, True, 0) for layer, x in zip(self.dense, joined, strict=False)]

        def pullback(dstarts: Sequence[Array], *, need_dx: bool = True) -> list[Array]:
            dstates = [np.zeros_like(state) for state in states]
            for index, (group, d) in enumerate(zip(groups, dstarts, strict=True)):
                whole = taped[index][1](d) if taped else d
                ends = np.cumsum([self.widths[i] for i in group])[:-1]
                for i, part in zip(group, np.split(whole, ends, axis=1), strict=True):
                    dstates[i] += part
            return dstates

        return [y for y, _ in taped] if taped else joined, pullback


def start_groups(encoder: Any, given: list[int], wanted: list[int]) -> list[list[int]] | None:
    """Return which of the encoder's states make each of the decoder's as they are; None if their sizes do not fit."""
    if given == wanted:
        return [[index] for index in range(len(given))]
    if getattr(encoder, "directions", 1) != 2:
        return None
    kinds = 2 if encoder.cell == "lstm" else 1
    groups = [
        [layer * 2 * kinds + kind, layer * 2 * kinds + kinds + kind]
        for layer in range(len(given) // (2 * kinds))
        for kind in range(kinds)
    ]
    return groups if [sum(given[i] for i in group) for group in groups] == wanted else None
