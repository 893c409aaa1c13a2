"""The long short-term memory, with peepholes, projection, coupled gates, clips and layer normalisation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._types import Array, Parameters
from ..activations import Activation
from ..options import Options
from ..product import Normalized, Product, ProductSaved, Tally, normalize, normalize_backward
from .base import Cell, Step, StepGradient


class Saved(NamedTuple):
    """What the backward pass of one step needs."""

    product: ProductSaved
    c: Array  # before the step
    z: dict[str, Array]  # pre-activations of the gates, peepholes included
    i: Array
    f: Array
    g: Array
    o: Array
    c_raw: Array  # after the step, before the cell clip
    c_next: Array  # after the cell clip
    normalized: Normalized | None  # of c_next
    k: Array  # k(q)


class LSTM(Cell):
    """Long short-term memory.

    ::

        z  = a + u                      a = W_ih x + b_ih        u = W_hh h + b_hh
        i  = s(z_i + p_i c)             f = s(z_f + p_f c)       or, coupled, f = 1 - i
        g  = f(z_g)
        c' = f c + i g                  then clamped to [-cell_clip, cell_clip]
        o  = s(z_o + p_o c')
        m  = o k(q)                     q = c', or with layer normalisation g_c norm(c') + b_c
        h' = m, or with a projection W_hr m

    Sources: Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000; peepholes p: Gers &
    Schmidhuber 2000; coupled gates: Greff et al. 2017; projection and cell clip: Sak, Senior & Beaufays 2014;
    layer normalisation: Ba, Kiros & Hinton 2016, over all the gates together. ``clip`` limits each gate's whole
    pre-activation, peephole included, as in ONNX.
    """

    def __init__(self, options: Options, parameters: Parameters) -> None:
        super().__init__(options, parameters)
        self.recurrent = Product(parameters, "hh", self.all_rows, self.groups())
        self.squash = Activation.of(options.output_activation)
        self.gate_names = "igo" if options.input_forget else "ifgo"
        self.peepholes: Parameters = {}
        if options.use_peepholes:
            names = "io" if options.input_forget else "ifo"
            self.peepholes = dict(zip(names, self.blocks(parameters["weight_ph"]), strict=True))

    def step(self, a: Array, h: Array, h_dropped: Array, c: Array | None) -> Step:  # noqa: D102
        assert c is not None
        u, product = self.recurrent.forward(h_dropped)
        z = dict(zip(self.gate_names, self.blocks(a + u), strict=True))
        for name, peephole in self.peepholes.items():
            if name != "o":
                z[name] = z[name] + peephole * c
        i = self.gate(z["i"])
        f = 1 - i if self.options.input_forget else self.gate(z["f"])
        g = self.candidate(z["g"])
        c_next = c_raw = f * c + i * g
        if self.options.cell_clip > 0:
            c_next = np.clip(c_raw, -self.options.cell_clip, self.options.cell_clip)
        if self.peepholes:
            z["o"] = z["o"] + self.peepholes["o"] * c_next
        o = self.gate(z["o"])
        q, normalized = self._normalized(c_next)
        k = self.squash(q)
        m = o * k
        h_next = m @ self.parameters["weight_hr"].T if self.options.proj_size else m
        saved = Saved(product, c, z, i, f, g, o, c_raw, c_next, normalized, k)
        return Step(h_next, c_next, saved)

    def backward(self, dh: Array, dc: Array | None, saved: Any, tally: Tally) -> StepGradient:  # noqa: D102
        assert dc is not None
        c, i, f, g, o, k = saved.c, saved.i, saved.f, saved.g, saved.o, saved.k
        z, dz = saved.z, {}
        dm = dh
        if self.options.proj_size:
            tally.product("weight_hr", slice(0, self.options.proj_size), dh, o * k)
            dm = dh @ self.parameters["weight_hr"]
        dz["o"] = self.gate.backward(dm * k, o, z["o"])
        dc = dc + self._normalized_backward(dm * o * self.squash.slope(k), saved, tally)
        if self.peepholes:
            dc = dc + self._peephole_backward("o", dz["o"], saved.c_next, tally)
        if self.options.cell_clip > 0:
            dc = dc * (np.abs(saved.c_raw) <= self.options.cell_clip)
        di, df, dg, dc_previous = dc * g, dc * c, dc * i, dc * f
        if self.options.input_forget:
            di = di - df
        else:
            dz["f"] = self.gate.backward(df, f, z["f"])
        dz["i"] = self.gate.backward(di, i, z["i"])
        dz["g"] = self.candidate.backward(dg, g, z["g"])
        for name in self.peepholes:
            if name != "o":
                dc_previous = dc_previous + self._peephole_backward(name, dz[name], c, tally)
        da = np.concatenate([dz[name] for name in self.gate_names], axis=-1)
        dh_dropped = self.recurrent.backward(da, saved.product, tally)
        return StepGradient(a=da, h=None, h_dropped=dh_dropped, c=dc_previous)

    def _normalized(self, c: Array) -> tuple[Array, Normalized | None]:
        if not self.options.layer_norm:
            return c, None
        normalized = normalize(c, [slice(0, self.units)])
        return self.parameters["weight_ln_c"] * normalized.value + self.parameters["bias_ln_c"], normalized

    def _normalized_backward(self, dq: Array, saved: Saved, tally: Tally) -> Array:
        if saved.normalized is None:
            return dq
        rows = slice(0, self.units)
        tally.sum("weight_ln_c", rows, dq * saved.normalized.value)
        tally.sum("bias_ln_c", rows, dq)
        return normalize_backward(dq * self.parameters["weight_ln_c"], saved.normalized, [rows])

    def _peephole_backward(self, name: str, dz: Array, c: Array, tally: Tally) -> Array:
        """Return the part of c's gradient that comes through the peephole of one gate."""
        start = list(self.peepholes).index(name) * self.units
        tally.sum("weight_ph", slice(start, start + self.units), dz * c)
        return dz * self.peepholes[name]
