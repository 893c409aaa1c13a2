"""The simple recurrent cell."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._types import Array, Parameters
from ..options import Options
from ..product import Product, ProductSaved, Tally
from .base import Cell, Step, StepGradient


class Saved(NamedTuple):
    """What the backward pass of one step needs."""

    product: ProductSaved
    z: Array
    h: Array


class RNN(Cell):
    """Simple recurrent network (Elman, "Finding structure in time", 1990).

    ::

        z  = a + u            a = W_ih x + b_ih        u = W_hh h + b_hh
        h' = f(z)

    With layer normalisation the two products are normalised separately, each over its H units.
    """

    def __init__(self, options: Options, parameters: Parameters) -> None:
        super().__init__(options, parameters)
        self.recurrent = Product(parameters, "hh", self.all_rows, self.groups())

    def step(self, a: Array, h: Array, h_dropped: Array, c: Array | None) -> Step:  # noqa: D102
        u, product = self.recurrent.forward(h_dropped)
        z = a + u
        h_next = self.candidate(z)
        return Step(h_next, None, Saved(product, z, h_next))

    def backward(self, dh: Array, dc: Array | None, saved: Any, tally: Tally) -> StepGradient:  # noqa: D102
        dz = self.candidate.backward(dh, saved.h, saved.z)
        dh_dropped = self.recurrent.backward(dz, saved.product, tally)
        return StepGradient(a=dz, h=None, h_dropped=dh_dropped, c=None)
