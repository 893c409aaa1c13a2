"""The gated recurrent unit, with the reset gate after or before the recurrent product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._types import Array, Parameters
from ..options import Options
from ..product import Product, ProductSaved, Tally
from .base import Cell, Step, StepGradient


class Saved(NamedTuple):
    """What the backward pass of one step needs."""

    products: list[ProductSaved]  # of the gates; reset before: also of the candidate
    h: Array  # before the step
    h_dropped: Array
    z_r: Array  # pre-activations
    z_z: Array
    z_n: Array
    r: Array
    z: Array
    n: Array
    u_n: Array  # what the reset gate multiplies, reset after only


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014).

    ::

        a  = W_ih x + b_ih            u = W_hh h + b_hh
        r  = s(a_r + u_r)             reset
        z  = s(a_z + u_z)             update
        n  = f(a_n + r u_n)           reset after: as in cuDNN, PyTorch and Keras
        n  = f(a_n + W_n (r h) + b_n) reset before: as in the paper, the default of ONNX
        h' = n + z (h - n)            = (1 - z) n + z h

    The recurrent bias of a reset-after candidate sits inside of ``r (...)``, so that it can not be joined with the
    input bias. Layer normalisation takes r and z together and n alone, in both products. Recurrent dropout acts on
    the h that enters the products, not on that of ``z h``.
    """

    def __init__(self, options: Options, parameters: Parameters) -> None:
        super().__init__(options, parameters)
        both, last = slice(0, 2 * self.units), slice(2 * self.units, 3 * self.units)
        if options.reset_after:
            self.recurrent = [Product(parameters, "hh", self.all_rows, self.groups())]
        else:
            self.recurrent = [
                Product(parameters, "hh", both, [both]),
                Product(parameters, "hh", last, [slice(0, self.units)]),
            ]

    def groups(self) -> list[slice]:  # noqa: D102
        return [slice(0, 2 * self.units), slice(2 * self.units, 3 * self.units)]

    def step(self, a: Array, h: Array, h_dropped: Array, c: Array | None) -> Step:  # noqa: D102
        a_r, a_z, a_n = self.blocks(a)
        u, product = self.recurrent[0].forward(h_dropped)
        products = [product]
        u_r, u_z, *rest = self.blocks(u)
        z_r, z_z = a_r + u_r, a_z + u_z
        r, z = self.gate(z_r), self.gate(z_z)
        if self.options.reset_after:
            u_n = rest[0]
            z_n = a_n + r * u_n
        else:
            u_n, product = self.recurrent[1].forward(r * h_dropped)
            products.append(product)
            z_n = a_n + u_n
        n = self.candidate(z_n)
        h_next = n + z * (h - n)
        return Step(h_next, None, Saved(products, h, h_dropped, z_r, z_z, z_n, r, z, n, u_n))

    def backward(self, dh: Array, dc: Array | None, saved: Any, tally: Tally) -> StepGradient:  # noqa: D102
        r, z, n = saved.r, saved.z, saved.n
        da_n = self.candidate.backward(dh * (1 - z), n, saved.z_n)
        da_z = self.gate.backward(dh * (saved.h - n), z, saved.z_z)
        if self.options.reset_after:
            da_r = self.gate.backward(da_n * saved.u_n, r, saved.z_r)
            du = np.concatenate((da_r, da_z, da_n * r), axis=-1)
            dh_dropped = self.recurrent[0].backward(du, saved.products[0], tally)
        else:
            dv = self.recurrent[1].backward(da_n, saved.products[1], tally)  # of v = r * h_dropped
            da_r = self.gate.backward(dv * saved.h_dropped, r, saved.z_r)
            du = np.concatenate((da_r, da_z), axis=-1)
            dh_dropped = self.recurrent[0].backward(du, saved.products[0], tally) + dv * r
        da = np.concatenate((da_r, da_z, da_n), axis=-1)
        return StepGradient(a=da, h=dh * z, h_dropped=dh_dropped, c=None)
