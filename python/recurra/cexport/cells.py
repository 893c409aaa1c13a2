"""One time step of a recurrent cell as a C function: the formulas of docs/semantics.md, written out for its sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recurra.cexport.maths import literal

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.activations import Activation
    from recurra.cexport.source import Matrix, Source
    from recurra.layers.recurrent import Recurrent

_EPSILON = "1e-05f"  # of the normalisation inside cells


class Cell:
    """The function of one layer in one direction.

    Parameters
    ----------
    source : Source
        Where arrays and functions go.
    layer : Recurrent
        Built.
    number : int
        Of the layer in its stack.
    reverse : bool
        Whether it is the direction that reads from the end.
    inputs : int
        Numbers of one step.
    name : str
        Of its arrays and functions.
    """

    def __init__(self, source: Source, layer: Recurrent, number: int, reverse: bool, inputs: int, name: str) -> None:
        self.source, self.layer, self.options, self.name = source, layer, layer.options, name
        self.suffix = f"_l{number}" + ("_reverse" if reverse else "")
        self.units, self.size, self.inputs = layer.units, layer.state_size, inputs
        self.gates = {"rnn": 1, "gru": 3, "lstm": 3 if self.options.get("input_forget") else 4}[layer.cell]
        self.width = self.gates * self.units
        self.normalised = self.options["layer_norm"]
        # whether W x and U h are needed apart, rather than added up in one array
        self.apart = layer.cell == "gru" or self.normalised or source.kind == "int8"
        self.function = self._emit()

    # Constants

    def _has(self, name: str) -> bool:
        return name + self.suffix in self.layer._views[0]

    def _get(self, name: str) -> Array:
        values: Array = self.layer._views[0][name + self.suffix]
        return values

    def _vector(self, name: str, values: Array | None = None) -> str:
        return self.source.vector(f"{self.name}_{name}", self._get(name) if values is None else values)

    def _matrix(self, name: str, short: str, rows: slice = slice(None), more: str = "") -> Matrix:
        return self.source.matrix(f"{self.name}_{name}{more}", self._get(name)[rows], short)

    # Text

    def _emit(self) -> str:
        body = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[self.layer.cell]()
        states = "float *h, float *c" if self.layer.cell == "lstm" else "float *h"
        body = [f"float z[{self.width}]" + (f", u[{self.width}]" if self.apart else "") + ";", *body]
        more = f", keeps h ({self.size})" + (f" and c ({self.units})" if self.layer.cell == "lstm" else "")
        comment = f"{type(self.layer).__name__} {self.layer.name}{self.suffix}: reads x ({self.inputs}){more}."
        return self.source.function(self.name, f"const float *x, {states}", body, comment)

    def call(self, x: str, h: str, c: str) -> str:
        """Return the statement that runs a step, the state's pointer being ``s``."""
        states = f"{h}, {c}" if self.layer.cell == "lstm" else h
        return f"{self.function}({x}, {states});"

    def _products(self) -> list[str]:
        """Return ``z = W x + b`` and, apart or added to it, ``U h + c``; gates in blocks of the units."""
        w_ih = self._matrix("weight_ih", "W")
        gru_before = self.layer.cell == "gru" and not self.options["reset_after"]
        if self.apart:
            rows = slice(0, 2 * self.units) if gru_before else slice(None)
            w_hh = self._matrix("weight_hh", "U", rows)
            count = 2 * self.units if gru_before else self.width
            return [*self._product(w_ih, "x", "z", "ih"), *self._product(w_hh, "h", "u", "hh", slice(0, count))]
        w_hh = self._matrix("weight_hh", "U")
        start = "0.0f"
        if self._has("bias_ih"):
            start = self._vector("bias", self._get("bias_ih").astype(float) + self._get("bias_hh")) + "[j]"
        return self.source.accumulate(w_ih, "x", "z", start) + self.source.accumulate(w_hh, "h", "z")

    def _product(
        self, matrix: Matrix, x: str, z: str, which: str, rows: slice = slice(None), at: str = ""
    ) -> list[str]:
        """Return the lines of a product with its scales, normalisation and bias, in an array of its own."""
        count = matrix.outputs
        bias = self._vector(f"bias_{which}{at}", self._get(f"bias_{which}")[rows]) if self._has("bias_ih") else ""
        plain = not matrix.scale and not self.normalised
        start = f"{bias}[j]" if plain and bias else "0.0f"
        lines = self.source.accumulate(matrix, x, z, start)
        if plain:
            return lines
        if matrix.scale and self.normalised:
            lines.append(f"for (int j = 0; j < {count}; ++j) {z}[j] *= {matrix.scale}[j];")
        factor = f"{matrix.scale}[j]"
        if self.normalised:
            gain = self._vector(f"gain_{which}{at}", self._get(f"weight_ln_{which}")[rows])
            factor = f"{gain}[j]"
            lines += [self._normalise(z, start, width) for start, width in self._groups(count)]
        shift = f" + {bias}[j]" if bias else ""
        return [*lines, f"for (int j = 0; j < {count}; ++j) {z}[j] = {factor} * {z}[j]{shift};"]

    def _groups(self, count: int) -> list[tuple[int, int]]:
        """Return start and size of what is normalised together: all gates, in a GRU r with z and n alone."""
        if self.layer.cell != "gru" or count <= 2 * self.units:
            return [(0, count)]
        return [(0, 2 * self.units), (2 * self.units, self.units)]

    def _normalise(self, z: str, start: int, width: int) -> str:
        at = f"{z} + {start}" if start else z
        return f"{self.source.helper('normalise')}({at}, {width}, {_EPSILON});"

    def _pre(self, gate: int, more: str = "") -> str:
        """Return the pre-activation of a gate of unit j."""
        at = f"[{gate * self.units} + j]" if gate else "[j]"
        return f"z{at}" + (f" + u{at}" if self.apart else "") + more

    def _gate(self, activation: Activation, pre: str) -> str:
        """Return an activation of what is clipped first, if it is."""
        if self.options["clip"]:
            pre = f"{self.source.helper('clamp')}({pre}, {literal(self.options['clip'])})"
        elif " " in pre and activation.name in ("affine", "scaled_tanh", "identity"):
            pre = f"({pre})"
        return self.source.activated(activation, pre)

    def _carried(self, new: str, old: str, state: int) -> str:
        """Return the new state with zoneout's expectation."""
        rate = self.options["zoneout"][state]
        return f"{new} + {literal(rate)} * ({old} - {new})" if rate else new

    def _loop(self, body: list[str]) -> list[str]:
        return [f"for (int j = 0; j < {self.units}; ++j) {{", *("  " + line for line in body), "}"]

    # Cells

    def _rnn(self) -> list[str]:
        new = self._gate(self.options["activation"], self._pre(0))
        body = [f"const float new = {new};", f"h[j] = {self._carried('new', 'h[j]', 0)};"]
        return [*self._products(), *self._loop(body)]

    def _gru(self) -> list[str]:
        gate, units = self.options["recurrent_activation"], self.units
        lines = self._products()
        r, z = self._gate(gate, self._pre(0)), self._gate(gate, self._pre(1))
        if self.options["reset_after"]:
            body = [f"const float r = {r};", f"const float update = {z};"]
            pre = f"z[{2 * units} + j] + r * u[{2 * units} + j]"
        else:
            first = [f"const float r = {r};", f"z[{units} + j] = {z};", "z[j] = r * h[j];"]
            last = slice(2 * units, 3 * units)
            again = self._matrix("weight_hh", "U of the candidate", last, "_n")
            lines += [*self._loop(first), *self._product(again, "z", "u", "hh", last, "_n")]
            body, pre = [f"const float update = z[{units} + j];"], f"z[{2 * units} + j] + u[j]"
        body += [f"const float n = {self._gate(self.options['activation'], pre)};"]
        body += ["const float new = n + update * (h[j] - n);", f"h[j] = {self._carried('new', 'h[j]', 0)};"]
        return [*lines, *self._loop(body)]

    def _lstm(self) -> list[str]:
        lines, first, last = self._products(), self._new_c(), self._out()
        if not self.normalised:
            return [*lines, *self._loop(first + last), *self._projected()]
        gain, shift = self._vector("weight_ln_c"), self._vector("bias_ln_c")
        units, out = self.units, (self.gates - 1) * self.units
        first += [f"z[{out} + j] = {self._output_gate()};", "z[j] = fresh;"]
        lines += [*self._loop(first), self._normalise("z", 0, units)]
        squashed = self.source.activated(self.options["output_activation"], "q")
        body = [f"const float q = {gain}[j] * z[j] + {shift}[j];", f"const float m = z[{out} + j] * {squashed};"]
        return [*lines, *self._loop([*body, self._kept()]), *self._projected()]

    def _peep(self, gate: str, state: str) -> str:
        """Return what a gate sees of the cell state."""
        if not self.options["use_peepholes"]:
            return ""
        names = "io" if self.options["input_forget"] else "ifo"
        at = names.index(gate) * self.units
        return f" + {self.source.prefix}{self._peepholes}[{f'{at} + j' if at else 'j'}] * {state}"

    def _new_c(self) -> list[str]:
        """Return the lines from the pre-activations of unit j to its ``fresh`` and kept cell state."""
        gate, coupled = self.options["recurrent_activation"], self.options["input_forget"]
        if self.options["use_peepholes"]:
            self._peepholes = self._vector("weight_ph").removeprefix(self.source.prefix)
        lines = [f"const float i = {self._gate(gate, self._pre(0, self._peep('i', 'c[j]')))};"]
        forget = "1.0f - i" if coupled else self._gate(gate, self._pre(1, self._peep("f", "c[j]")))
        lines += [f"const float f = {forget};"]
        lines += [f"const float g = {self._gate(self.options['activation'], self._pre(self.gates - 2))};"]
        fresh = "f * c[j] + i * g"
        if self.options["cell_clip"]:
            fresh = f"{self.source.helper('clamp')}({fresh}, {literal(self.options['cell_clip'])})"
        return [*lines, f"const float fresh = {fresh};", f"c[j] = {self._carried('fresh', 'c[j]', 1)};"]

    def _output_gate(self) -> str:
        pre = self._pre(self.gates - 1, self._peep("o", "fresh"))
        return self._gate(self.options["recurrent_activation"], pre)

    def _out(self) -> list[str]:
        squashed = self.source.activated(self.options["output_activation"], "fresh")
        return [f"const float o = {self._output_gate()};", f"const float m = o * {squashed};", self._kept()]

    def _kept(self) -> str:
        return "z[j] = m;" if self.options["proj_size"] else f"h[j] = {self._carried('m', 'h[j]', 0)};"

    def _projected(self) -> list[str]:
        """Return the product that makes h of the outputs in z, into the place of later gates in z."""
        if not self.options["proj_size"]:
            return []
        matrix = self._matrix("weight_hr", "projection")
        scale = f"{matrix.scale}[j] * " if matrix.scale else ""
        return [
            f"float *p = z + {self.units};",
            *self.source.accumulate(matrix, "z", "p", "0.0f"),
            f"for (int j = 0; j < {self.size}; ++j) {{",
            f"  const float new = {scale}p[j];",
            f"  h[j] = {self._carried('new', 'h[j]', 0)};",
            "}",
        ]


def start_of(layer: Recurrent, kind: str, index: int) -> Any:
    """Return the learned initial state number ``index`` of a kind ("h0", "c0"), or None for zero."""
    return layer._views[0][kind][index] if layer.learned_state else None
