"""Operations over time: recurrent layers, convolution, pooling, and what moves steps about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.cexport.cells import Cell, start_of
from recurra.cexport.operations import AFTER, EACH, Operation, Span, Value, copied, indexed, loop
from recurra.cexport.pointwise import activate
from recurra.cexport.source import Matrix
from recurra.cexport.steps import constant
from recurra.cexport.storage import KINDS, store

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.cexport.source import Source
    from recurra.layers.conv import Conv1D
    from recurra.layers.recurrent import Recurrent


class Recurrence(Operation):
    """One layer of a recurrent layer's stack, in one direction or both.

    Parameters
    ----------
    x : Value
        With a time axis.
    layer : Recurrent
        Built.
    number : int
        Of the layer in its stack.
    initial : list of Value
        Given initial states of its directions, h and c of each; none: zero, or learned ones.
    name : str
        Of its functions and members.
    """

    def __init__(self, x: Value, layer: Recurrent, number: int, initial: list[Value], name: str) -> None:
        self.layer, self.number, self.initial, self.name = layer, number, initial, name
        self.sequences = layer.return_sequences or number + 1 < layer.options["num_layers"]
        self.both = layer.directions == 2
        self.backwards = bool(layer.options["go_backwards"]) and number == 0
        self.concat = self.both and layer.options["merge_mode"] == "concat"
        width = layer.state_size * (2 if self.concat else 1)
        super().__init__([x, *initial], width, x.steps if self.sequences else None)
        self.streams = not (self.both or self.backwards or initial)
        if not self.sequences:
            self.makes.phase = AFTER
        names = ("h", "c") if layer.cell == "lstm" else ("h",)
        self.states = [
            (kind, direction, Value(layer.state_size if kind == "h" else layer.units, None, AFTER))
            for direction in range(layer.directions)
            for kind in names
        ]

    def define(self, source: Source) -> None:
        """Add the cells' functions and the states."""
        inputs = self.reads[0].width
        self.cells, self.places = [], {}
        for direction in range(self.layer.directions):
            name = self.name + ("_reverse" if direction else "")
            self.cells.append(Cell(source, self.layer, self.number, direction == 1, inputs, name))
        for kind, direction, value in self.states:
            name = f"{self.name}{'_reverse' if direction else ''}_{kind}"
            value.own = self.places[direction, kind] = source.member(name, value.width, f"{kind} of {self.layer.name}")
        if self.streams:
            self.makes.own = self.places[0, "h"]
        self.starts = [self._start(source, *state) for state in self.states]

    def _start(self, source: Source, kind: str, direction: int, value: Value) -> str:
        index = self.number * self.layer.directions + direction
        learned = start_of(self.layer, f"{kind}0", index)
        if learned is None or self.initial:
            return f"for (int j = 0; j < {value.width}; ++j) {value.own}[j] = 0.0f;"
        name = f"{self.name}{'_reverse' if direction else ''}_{kind}0"
        return copied(str(value.width), source.vector(name, learned, "the learned initial state"), value.own)

    def reset(self, source: Source) -> list[str]:
        """Return statements that set the states to the initial ones."""
        return self.starts

    def _call(self, direction: int, x: str) -> str:
        return self.cells[direction].call(x, self.places[direction, "h"], self.places.get((direction, "c"), ""))

    def step(self, x: list[str], y: str) -> list[str]:
        """Return the call of the one cell, whose h is the output."""
        return [self._call(0, x[0])]

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops over time of both directions."""
        lines = list(self.starts)
        for (_, _, value), given in zip(self.states, x[1:], strict=bool(self.initial)):
            lines.append(copied(str(value.width), given.pointer, value.own))
        for direction in range(self.layer.directions):
            lines += self._direction(direction, x[0], y)
        return lines if self.sequences else [*lines, *self._last(y)]

    def _direction(self, direction: int, x: Span, y: Span) -> list[str]:
        back = direction == 1 or self.backwards
        at = f"({x.rows} - 1 - t)" if back else "t"
        body = [self._call(direction, x.row(at))]
        if self.sequences:
            body += self._put(direction, y.row(at if direction else "t"))
        return loop("t", x.rows, body)

    def _put(self, direction: int, row: str) -> list[str]:
        """Return how the state of a direction goes into a row of the output, the forward one first."""
        size, h = str(self.layer.state_size), self.places[direction, "h"]
        if direction == 0:
            return [copied(size, h, row)]
        if self.concat:
            return [copied(size, h, f"{row} + {size}")]
        mode, at = self.layer.options["merge_mode"], indexed(row)
        sign = "*" if mode == "mul" else "+"
        text = f"0.5f * ({at} + {h}[j])" if mode == "ave" else f"{at} {sign} {h}[j]"
        return [f"for (int j = 0; j < {size}; ++j) {at} = {text};"]

    def _last(self, y: Span) -> list[str]:
        return [line for direction in range(self.layer.directions) for line in self._put(direction, y.pointer)]


class Convolution(Operation):
    """Conv1D; causal with strides of 1 it streams, keeping the last inputs in the state."""

    def __init__(self, x: Value, layer: Conv1D, name: str) -> None:
        assert x.steps is not None
        self.layer, self.name = layer, name
        steps = x.steps.windows(layer.span, layer.strides, "valid" if layer.padding == "valid" else "same")
        super().__init__([x], layer.filters, steps)
        self.streams = layer.padding == "causal" and layer.strides == 1

    def define(self, source: Source) -> None:
        """Add the function of one output row, and the window of a stream."""
        layer, bias = self.layer, self.layer._views[0].get("bias")
        self.width = self.reads[0].width
        stored = store(source.kind, layer._views[0]["weight"])
        shift = "0.0f" if bias is None else source.vector(f"{self.name}_bias", bias) + "[j]"
        lines = [f"float z[{layer.filters}];", f"for (int j = 0; j < {layer.filters}; ++j) z[j] = 0.0f;"]
        inner = self._taps(source, stored.codes)
        tap = f"row + tap * {layer.dilation_rate}" if layer.dilation_rate > 1 else "row + tap"
        lines += loop("tap", str(layer.kernel_size), [f"const int k0 = {tap};", "if (k0 < 0 || k0 >= rows) continue;",
                                                      f"const float *a = x + k0 * {self.width};", *inner])  # fmt: skip
        scale = ""
        if stored.scales is not None:
            scale = source.vector(f"{self.name}_scale", stored.scales, "of each filter") + "[j] * "
        lines.append(f"for (int j = 0; j < {layer.filters}; ++j) z[j] = {scale}z[j] + {shift};")
        lines += activate(source, layer.activation, layer.filters, "z", "y")
        parameters = "const float *x, int row, int rows, float *y"
        comment = f"Conv1D {layer.name}: one output of {layer.filters} filters, whose first tap is at a row of x."
        self.function = source.function(self.name, parameters, lines, comment)
        if self.streams:
            self.window = source.member(f"{self.name}_window", layer.span * self.width, f"last inputs of {layer.name}")

    def _taps(self, source: Source, codes: Array) -> list[str]:
        """Return the products of one tap, the row that it reads being a; codes are (filters, features, taps)."""
        groups = self.layer.groups
        filters, features = self.layer.filters // groups, codes.shape[1]
        few = source.are_few(filters, features)
        blocks = codes.transpose(2, 0, 1).reshape(-1, groups, filters, features)
        what = f"[{self.layer.kernel_size} taps][{groups} groups][{features} inputs][{filters} filters]"
        kind = KINDS[source.kind]
        name = source.array(f"{self.name}_weight", blocks if few else blocks.swapaxes(2, 3), kind, what)
        lines = [f"const {kind} *m = {name} + tap * {filters * features * groups};"]
        a, z, m = "a", "z", "m"
        for group in range(groups):
            if group:
                a, z, m = f"a{group}", f"z{group}", f"m{group}"
                lines += [f"const float *{a} = a + {group * features};", f"float *{z} = z + {group * filters};"]
                lines += [f"const {kind} *{m} = m + {group * filters * features};"]
            lines += source.accumulate(Matrix(m, filters, features, "", source.kind, few), a, z)
        return lines

    def reset(self, source: Source) -> list[str]:
        """Return the statement that forgets all inputs."""
        if not self.streams:
            return []
        return [f"for (int j = 0; j < {self.layer.span * self.width}; ++j) {self.window}[j] = 0.0f;"]

    def step(self, x: list[str], y: str) -> list[str]:
        """Return statements that move the window on and read it."""
        span, width = self.layer.span, self.width
        moved = (span - 1) * width
        lines = [f"for (int j = 0; j < {moved}; ++j) {self.window}[j] = {self.window}[j + {width}];"] if moved else []
        newest = f"{self.window} + {moved}" if moved else self.window
        return [*lines, copied(str(width), x[0], newest), f"{self.function}({self.window}, 0, {span}, {y});"]

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loop over the outputs."""
        layer, first = self.layer, f"t * {self.layer.strides}" if self.layer.strides > 1 else "t"
        left = {"valid": "", "causal": f" - {layer.span - 1}"}.get(layer.padding)
        before = []
        if left is None:
            needed = f"({y.rows} - 1) * {layer.strides} + {layer.span} - {x[0].rows}"
            before, left = [f"const int missing = {needed};"], " - (missing > 0 ? missing / 2 : 0)"
        body = [f"{self.function}({x[0].pointer}, {first}{left}, {x[0].rows}, {y.row('t')});"]
        return [*before, *loop("t", y.rows, body)]


class Whole(Operation):
    """An operation that needs whole sequences."""

    streams = False


class Pool(Whole):
    """The largest or the mean of each window of steps."""

    def __init__(self, x: Value, span: int, stride: int, padding: str, largest: bool) -> None:
        assert x.steps is not None
        super().__init__([x], x.width, x.steps.windows(span, stride, padding))
        self.span, self.stride, self.padding, self.largest = span, stride, padding, largest

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops."""
        rows, width = x[0].rows, x[0].width
        first, before = f"t * {self.stride}", []
        if self.padding == "same":
            before = [f"const int missing = ({y.rows} - 1) * {self.stride} + {self.span} - {rows};"]
            before += ["const int left = missing > 0 ? missing / 2 : 0;"]
            first += " - left"
        body = [
            f"const int first = {first}, last = first + {self.span};",
            f"const int from = first < 0 ? 0 : first, to = last > {rows} ? {rows} : last;",
            *reduced(width, x[0], y.row("t"), "from", "to", self.largest),
        ]
        return [*before, *loop("t", y.rows, body)]


class PoolAll(Whole):
    """The largest or the mean of all steps."""

    def __init__(self, x: Value, largest: bool, keep: bool) -> None:
        super().__init__([x], x.width, constant(1) if keep else None)
        self.makes.phase = AFTER if x.phase == EACH else x.phase
        self.largest = largest

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops."""
        return reduced(x[0].width, x[0], y.pointer, "0", x[0].rows, self.largest)


def reduced(width: int, x: Span, y: str, first: str, last: str, largest: bool) -> list[str]:
    """Return the loops that reduce rows of x to one row."""
    place, at = indexed(y), indexed(x.pointer, f"k * {width} + j")
    start = indexed(x.pointer, f"{first} * {width} + j" if first != "0" else "j")
    more = f"{at} > {place} ? {at} : {place}" if largest else f"{place} + {at}"
    lines = [
        f"for (int j = 0; j < {width}; ++j) {place} = {start if largest else '0.0f'};",
        f"for (int k = {first}; k < {last}; ++k)",
        f"  for (int j = 0; j < {width}; ++j) {place} = {more};",
    ]
    if not largest:
        count = last if first == "0" else f"({last} - {first})"
        lines.append(f"for (int j = 0; j < {width}; ++j) {place} /= (float){count};")
    return lines


class Pad(Whole):
    """Zeros before and behind (positive numbers), or steps left out (negative ones)."""

    def __init__(self, x: Value, before: int, behind: int) -> None:
        assert x.steps is not None
        super().__init__([x], x.width, x.steps.plus(before + behind))
        self.before, self.behind = before, behind

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops."""
        width = x[0].width
        if self.before < 0 or self.behind < 0:
            return [copied(y.size, f"{x[0].pointer} + {-self.before * width}", y.pointer)]
        middle = f"{y.pointer} + {self.before * width}" if self.before else y.pointer
        return [
            f"for (int j = 0; j < {y.size}; ++j) {indexed(y.pointer)} = 0.0f;",
            copied(x[0].size, x[0].pointer, middle),
        ]


class Repeat(Whole):
    """Each row several times: a vector as a sequence, or steps repeated."""

    def __init__(self, x: Value, count: int) -> None:
        super().__init__([x], x.width, constant(count) if x.steps is None else x.steps.times(count))
        self.count = count

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loop."""
        row = x[0].row(f"(t / {self.count})" if self.count > 1 else "t")
        return loop("t", y.rows, [copied(str(y.width), row, y.row("t"))])


class Behind(Whole):
    """Sequences one behind the other in time."""

    def __init__(self, reads: list[Value]) -> None:
        total = reads[0].steps
        for value in reads[1:]:
            assert total is not None
            assert value.steps is not None
            total = total.with_(value.steps)
        super().__init__(reads, reads[0].width, total)

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the copies."""
        lines, start = [], ""
        for span in x:
            lines.append(copied(span.size, span.pointer, y.pointer + start))
            start += f" + {span.size}"
        return lines


class Transpose(Whole):
    """Steps and features exchanged."""

    def __init__(self, x: Value) -> None:
        super().__init__([x], x.rows, constant(x.width))

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops."""
        to, of = indexed(y.pointer, f"t * {y.width} + j"), indexed(x[0].pointer, f"j * {x[0].width} + t")
        return loop("t", y.rows, [f"for (int j = 0; j < {y.width}; ++j) {to} = {of};"])


class SoftmaxOverTime(Whole):
    """exp x / sum exp x over the steps of each feature."""

    def __init__(self, x: Value) -> None:
        super().__init__([x], x.width, x.steps)

    def define(self, source: Source) -> None:
        """Ask for the function."""
        self.function = source.helper("softmax")

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return the loops."""
        call = f"{self.function}({y.pointer} + j, {y.rows}, {y.width});"
        return [copied(y.size, x[0].pointer, y.pointer), f"for (int j = 0; j < {y.width}; ++j) {call}"]


class Reshaped(Whole):
    """The same numbers in the same order, read as other rows: an alias."""

    alias = True

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return nothing: the value lies where the one read lies."""
        return []
