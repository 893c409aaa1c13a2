"""The functions that a user of a generated file calls: reset, step, run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recurra.cexport.operations import AFTER, Span, copied

if TYPE_CHECKING:
    from recurra.cexport.interface import Interface, Port
    from recurra.cexport.operations import Operation, Value
    from recurra.cexport.source import Source


class Functions:
    """Writes the functions of a program.

    Parameters
    ----------
    interface : Interface
        The program; its operations get defined in ``source``.
    source : Source
        The file's parts.
    """

    def __init__(self, interface: Interface, source: Source) -> None:
        self.interface, self.source, self.name = interface, source, source.name
        self.operations = interface.program.operations
        for operation in self.operations:
            operation.define(source)
        self.workspace: list[tuple[int, str]] = []  # width and C of the rows of each value in it
        self.takes: dict[str, list[Port]] = {}  # the inputs of the parts of a step
        self.places: dict[int, str] = {id(port.value): port.name for port in interface.inputs}
        self.body = self._streaming() if interface.streams else self._whole()

    # Text that several functions share

    def signature(self, which: str) -> str:
        """Return the head of a function of the interface."""
        state = f"{self.name}_state *s"
        if which == "reset":
            return f"void {self.name}_reset({state})"
        inputs = ", ".join(f"const {port.value.kind} *{port.name}" for port in self.interface.inputs)
        outputs = ", ".join(f"float *{port.name}" for port in self.interface.outputs)
        if which == "step":
            return f"void {self.name}_step({state}, {inputs}, {outputs})"
        work = "" if self.interface.streams else "float *work, "
        return f"int {self.name}_run({state}, {inputs}, int steps, {work}{outputs})"

    def _function(self, head: str, lines: list[str]) -> str:
        return "\n".join([head + " {", *("  " + line for line in lines), "}"])

    def _outputs(self, late: bool) -> list[Port]:
        return [port for port in self.interface.outputs if (port.value.phase == AFTER) == late]

    def _copies(self, ports: list[Port]) -> list[str]:
        """Return the copies of outputs that lie elsewhere."""
        return [
            copied(str(port.value.width), self.places[id(port.value)], port.name)
            for port in ports
            if self.places[id(port.value)] != port.name
        ]

    # Step by step

    def _streaming(self) -> list[str]:
        for operation in self.operations:
            self._place(operation)
        early = [one for one in self.operations if one.makes.phase != AFTER]
        early += [one for one in self.operations if one.makes.phase == AFTER and one.makes.own]  # cells, run each step
        late = [one for one in self.operations if one not in early]
        early.sort(key=self.operations.index)
        texts = [self._reset(), self._part("each", early, False)]
        if late or self._outputs(True):
            texts.append(self._part("after", late, True))
        return [*texts, self._step(len(texts) > 2), self._run(len(texts) > 2)]

    def _place(self, operation: Operation) -> None:
        value = operation.makes
        if value.own:
            self.places[id(value)] = value.own
        else:
            port = next((port for port in self.interface.outputs if port.value is value), None)
            if port is None:
                what = f"{value.width} numbers between two operations"
                self.places[id(value)] = self.source.member("value", value.width, what)
            else:
                self.places[id(value)] = port.name
        for _, _, state in getattr(operation, "states", ()):
            self.places[id(state)] = state.own

    def _reset(self) -> str:
        lines = [line for operation in self.operations for line in operation.reset(self.source)]
        return self._function(self.signature("reset"), lines or ["(void)s;"])

    def _part(self, which: str, operations: list[Operation], late: bool) -> str:
        lines: list[str] = []
        for operation in operations:
            x = [self.places[id(value)] for value in operation.reads]
            lines += operation.step(x, self.places[id(operation.makes)])
        lines += self._copies(self._outputs(late))
        inputs = self.interface.inputs
        if late:  # an input without a time axis may be read after the last step
            names = {self.places[id(value)] for one in operations for value in one.reads}
            inputs = [port for port in inputs if port.name in names]
        self.takes[which] = inputs
        pointers = [f"const {port.value.kind} *{port.name}" for port in inputs]
        pointers += [f"float *{port.name}" for port in self._outputs(late)]
        if "s->" not in "".join(lines):
            lines = ["(void)s;", *lines]
        return self._function(
            f"static void {self.name}_{which}({', '.join([f'{self.name}_state *s', *pointers])})", lines
        )

    def _call(self, which: str, late: bool, moving: bool) -> str:
        """Return the call of a part, with the pointers of step t or as they are."""
        alone = all(port.value.rows == 1 for port in self.interface.inputs)
        names = []
        for port in [*self.takes[which], *self._outputs(late)]:
            moves = moving and (port in self.interface.outputs or alone or port.value.rows != 1)
            names.append(Span(port.name, "steps", port.value.width).row("t") if moves else port.name)
        return f"{self.name}_{which}({', '.join(['s', *names])});"

    def _step(self, after: bool) -> str:
        lines = [self._call("each", False, False)] + ([self._call("after", True, False)] if after else [])
        return self._function(self.signature("step"), lines)

    def _run(self, after: bool) -> str:
        lines = ["if (steps < 1) return 0;", f"for (int t = 0; t < steps; ++t) {self._call('each', False, True)}"]
        lines += [self._call("after", True, False)] if after else []
        return self._function(self.signature("run"), [*lines, f"return {self.rows('steps')};"])

    def rows(self, steps: str) -> str:
        """Return the C of the rows of the first output."""
        value = self.interface.outputs[0].value
        if self.interface.streams:
            return "1" if value.phase == AFTER else steps
        return self._rows(value, steps)

    # Whole sequences

    def _rows(self, value: Value, steps: str = "n") -> str:
        if value.rows:
            return str(value.rows)
        assert value.steps is not None
        return value.steps.text.replace("(n)", steps)

    def _whole(self) -> list[str]:
        spans = {
            id(port.value): Span(port.name, self._rows(port.value), port.value.width) for port in self.interface.inputs
        }
        lines: list[str] = []
        places: list[Value] = []
        for operation in self.operations:
            value = operation.makes
            for _, _, state in getattr(operation, "states", ()):
                spans[id(state)] = Span(state.own, "1", state.width)
            if operation.alias:
                pointer = spans[id(operation.reads[0])].pointer
            else:
                pointer = next((port.name for port in self.interface.outputs if port.value is value), "")
            if not pointer:
                pointer = f"v{len(places)}"
                before = f"v{len(places) - 1} + {self._size(places[-1])}" if places else "work"
                lines.append(f"float *{pointer} = {before};")
                places.append(value)
                self.workspace.append((value.width, self._rows(value, "(n)")))
            spans[id(value)] = Span(pointer, self._rows(value), value.width)
            made = operation.run([spans[id(read)] for read in operation.reads], spans[id(value)])
            lines += ["{", *("  " + line for line in made), "}"] if made else []
        for port in self.interface.outputs:
            span = spans[id(port.value)]
            lines += [copied(span.size, span.pointer, port.name)] if span.pointer != port.name else []
        return [self._reset(), self._function(self.signature("run"), self._checked(lines))]

    def _size(self, value: Value) -> str:
        rows = self._rows(value)
        return str(value.width) if rows == "1" else f"{rows} * {value.width}"

    def _checked(self, lines: list[str]) -> list[str]:
        """Return the body with the check of the number of steps before it."""
        text = "\n".join(lines)
        known = f"steps != {self.interface.fixed}" if self.interface.fixed else f"steps < {self.interface.least}"
        head = [f"if ({known}) return 0;"]
        returned = f"return {self.rows('n')};"
        if re.search(r"\bn\b", text + returned):
            head.append("const int n = steps;")
        head += [f"(void){word};" for word, used in (("s", "s->"), ("work", "work")) if used not in text]
        return [*head, *lines, returned]
