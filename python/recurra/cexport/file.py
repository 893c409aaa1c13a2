"""The text of a generated file: what it says about itself, interface, arrays, functions, programs for testing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recurra.cexport.functions import Functions
from recurra.cexport.programs import main_program, test_program
from recurra.cexport.source import Source, said

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.cexport.interface import Interface

_KINDS = {"float32": "float32", "float16": "float16 (computed with as float)", "int8": "int8, a scale for each output"}


class File:
    """A model's C file.

    Parameters
    ----------
    interface : Interface
        The model as a program.
    name : str
        Prefix of all names.
    kind : str
        How matrices are stored.
    """

    def __init__(self, interface: Interface, name: str, kind: str) -> None:
        self.interface, self.name, self.kind = interface, name, kind
        self.source = Source(name, kind)
        self.functions = Functions(interface, self.source)

    @property
    def constants(self) -> int:
        """Bytes of all arrays of the model."""
        return self.source.bytes

    @property
    def state(self) -> int:
        """Bytes of the state."""
        return 4 * max(1, sum(count for _, count, _ in self.source.members))

    def text(self, summary: str, accuracy: list[str], inputs: list[Array], outputs: list[Array]) -> str:
        """Return the whole file; inputs and outputs are a sample for the test."""
        upper = self.name.upper()
        parts = [
            self._comment(summary, accuracy),
            f"#ifndef {upper}_C\n#define {upper}_C\n\n#include <stdint.h>\n",
            '#ifdef __cplusplus\nextern "C" {\n#endif\n',
            self._interface(),
            f"#ifdef __cplusplus\n}}\n#endif\n\n#endif  // {upper}_C\n",
            f"#if !defined({upper}_INTERFACE) && !defined({upper}_CODE)\n#define {upper}_CODE\n",
            *(text + "\n" for text in self.source.helpers()),
            *(text + "\n" for text in self.source.arrays),
            *(text + "\n" for text in self.source.functions),
            *(text + "\n" for text in self.functions.body),
            test_program(self, inputs, outputs),
            main_program(self),
            f"#endif  // {upper}_CODE\n",
        ]
        return "\n".join(parts)

    def _comment(self, summary: str, accuracy: list[str]) -> str:
        name, upper = self.name, self.name.upper()
        lines = [
            f"{name}: a recurrent network in one C99 file, made by recurra. No libraries, no heap, constants alone.",
            "",
            *map(said, summary.splitlines()),
            "",
            f"Weights: {_KINDS[self.kind]}; constants {self.constants:,} bytes, a state {self.state:,} bytes.",
            *accuracy,
            "",
            *self._usage(),
            "",
            f"Another file that calls it has #define {upper}_INTERFACE before it includes this one, and sees the",
            "declarations alone. Any number of states may run at once, in threads too; assignment copies a state.",
            "",
            "Compile: cc -std=gnu99 -O3 -march=native -c (gcc uses fma with gnu99, not with c99).",
            f"With -D{upper}_TEST it is a program that checks itself, with -D{upper}_MAIN one that reads numbers and",
            "writes outputs.",
        ]
        body = "\n".join(f" * {line}".rstrip() for line in lines)
        return f"/*\n{body.replace('*/', '* /')}\n */\n"

    def _usage(self) -> list[str]:
        name, upper = self.name, self.name.upper()
        x = ", ".join(port.name for port in self.interface.inputs)
        y = ", ".join(port.name for port in self.interface.outputs)
        lines = [f"  {name}_state state;"]
        if self.interface.streams:
            lines += [
                f"  {name}_reset(&state);",
                f"  {name}_step(&state, {x}, {y});  // one time step: {self._sizes()}",
            ]
            lines += [f"  {name}_run(&state, {x}, steps, {y});  // several, going on from there; {self._kept()}"]
        else:
            lines += [f"  float work[{upper}_WORKSPACE(100)];  // for 100 steps"]
            lines += [f"  {name}_run(&state, {x}, 100, work, {y});  // a whole sequence: {self._sizes()}"]
            lines += [
                f"  // y has {upper}_OUTPUT_ROWS(steps) rows; run returns that number, 0 if the steps do not suit"
            ]
        return lines

    def _kept(self) -> str:
        """Return what a run leaves in the first output."""
        return "writes the last output" if self.functions.rows("n") == "1" else "writes an output for each"

    def _sizes(self) -> str:
        ports = [(port, "reads") for port in self.interface.inputs] + [(p, "writes") for p in self.interface.outputs]
        return ", ".join(f"{verb} {port.value.width} of {port.name}" for port, verb in ports)

    def _interface(self) -> str:
        upper, functions = self.name.upper(), self.functions
        lines = [
            f"#define {upper}_INPUTS{port.suffix} {port.value.width}  // numbers of a step of {port.name}"
            for port in self.interface.inputs
        ]
        lines += [
            f"#define {upper}_OUTPUTS{port.suffix} {port.value.width}  // numbers of a row of {port.name}"
            for port in self.interface.outputs
        ]
        if not self.interface.streams:
            terms = [_product(width, rows) for width, rows in functions.workspace] or ["1"]
            lines.append(f"#define {upper}_WORKSPACE(n) ({' + '.join(terms)})  // floats of work for n steps")
        rows = functions.rows("(n)")
        lines += [f"#define {upper}_OUTPUT_ROWS(n) ({rows.strip('()') if rows == '(n)' else rows})", ""]
        members = [f"  float {name}[{count}];  // {what}" for name, count, what in self.source.members]
        lines += ["typedef struct {", *(members or ["  float unused;"]), f"}} {self.name}_state;", ""]
        which = ["reset", "step", "run"] if self.interface.streams else ["reset", "run"]
        return "\n".join([*lines, *(functions.signature(one) + ";" for one in which)]) + "\n"


def _product(width: int, rows: str) -> str:
    return (
        str(width)
        if rows == "1"
        else f"{width} * {rows}"
        if re.fullmatch(r"\(.*\)|\d+", rows)
        else f"{width} * ({rows})"
    )
