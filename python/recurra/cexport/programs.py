"""The programs that a generated file can be compiled to on its own: a test, and a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.cexport.operations import Span
from recurra.cexport.source import array_text

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.cexport.file import File

TOLERANCE = "1e-5f"
"""Of the test, times the largest output if that exceeds 1."""


def test_program(file: File, inputs: list[Array], outputs: list[Array]) -> str:
    """Return the program that runs a sample and compares with what Python computed."""
    name, upper, interface = file.name, file.name.upper(), file.interface
    arrays = []
    for port, values in [*zip(interface.inputs, inputs, strict=True), *zip(interface.outputs, outputs, strict=True)]:
        arrays.append(array_text(f"{name}_test_{port.name}", values, port.value.kind, ""))
    x = [f"{name}_test_{port.name}" for port in interface.inputs]
    found = [f"found_{port.name}" for port in interface.outputs]
    steps = _steps(file, inputs)
    body = [f"  static float {f}[{values.size}];" for f, values in zip(found, outputs, strict=True)]
    if not interface.streams:
        body.append(f"  static float work[{upper}_WORKSPACE({steps})];")
    work = "" if interface.streams else "work, "
    body += [f"  static {name}_state state;", "  float error = 0.0f;", f"  {name}_reset(&state);"]
    body += [f"  {name}_run(&state, {', '.join(x)}, {steps}, {work}{', '.join(found)});"]
    compare = [
        f"  {name}_compare({f}, {name}_test_{port.name}, {values.size}, &error);"
        for f, port, values in zip(found, interface.outputs, outputs, strict=True)
    ]
    body += compare
    if interface.streams:
        body += [
            f"  {name}_reset(&state);",
            f"  for (int t = 0; t < {steps}; ++t)",
            *_one_step(file, x, found, outputs),
        ]
        body += compare
    return "\n".join(
        [
            f"#ifdef {upper}_TEST\n#include <stdio.h>\n",
            *arrays,
            f"\nstatic void {name}_compare(const float *found, const float *expected, int n, float *error) {{",
            "  float scale = 1.0f;",
            "  for (int j = 0; j < n; ++j) {",
            "    const float size = expected[j] < 0.0f ? -expected[j] : expected[j];",
            "    if (size > scale) scale = size;",
            "  }",
            "  for (int j = 0; j < n; ++j) {",
            "    const float apart = (found[j] - expected[j]) / scale;",
            "    if (!(apart <= *error && -apart <= *error)) *error = apart < 0.0f ? -apart : apart;  // NaN counts",
            "  }\n}\n",
            "int main(void) {",
            *body,
            f'  printf("{name}: largest difference from Python %.2g, allowed {TOLERANCE[:-1]}\\n", (double)error);',
            f"  return error <= {TOLERANCE} ? 0 : 1;",
            f"}}\n#endif  // {upper}_TEST\n",
        ]
    )


def _steps(file: File, inputs: list[Array]) -> int:
    """Return how many steps a sample has: of its first input with a time axis; of vectors alone, one."""
    timed = [values for port, values in zip(file.interface.inputs, inputs, strict=True) if port.value.rows != 1]
    return len(timed[0]) if timed else 1


def _one_step(file: File, x: list[str], found: list[str], outputs: list[Array]) -> list[str]:
    names = [
        Span(at, "steps", port.value.width).row("t") if port.value.rows != 1 else at
        for at, port in zip(x, file.interface.inputs, strict=True)
    ]
    names += [
        Span(at, "steps", port.value.width).row("t") if values.ndim > 1 else at
        for at, port, values in zip(found, file.interface.outputs, outputs, strict=True)
    ]
    return [f"    {file.name}_step(&state, {', '.join(names)});"]


def main_program(file: File) -> str:
    """Return the program that reads inputs and writes outputs, for models of one input and one output."""
    name, upper, interface = file.name, file.name.upper(), file.interface
    if len(interface.inputs) > 1 or len(interface.outputs) > 1:
        return ""
    port = interface.inputs[0]
    conversion = "%f" if port.value.kind == "float" else "%" + '" SCNd32 "'
    lines = [f"#ifdef {upper}_MAIN\n#include <inttypes.h>\n#include <stdio.h>\n"]
    if not interface.streams:
        lines += [f"#ifndef {upper}_MOST_STEPS\n#define {upper}_MOST_STEPS 4096\n#endif\n"]
    lines += [
        f"// Reads {port.value.width} numbers for each step, between blanks or lines; writes a line for each output.",
        f"static int {name}_read({port.value.kind} *x) {{",
        f"  for (int j = 0; j < {upper}_INPUTS; ++j)",
        f'    if (scanf("{conversion}", x + j) != 1) return 0;',
        "  return 1;\n}\n",
        f"static void {name}_write(const float *y) {{",
        f"  for (int j = 0; j < {upper}_OUTPUTS; ++j)",
        f"    printf(\"%.9g%c\", (double)y[j], j + 1 < {upper}_OUTPUTS ? ' ' : '\\n');",
        "}\n",
        "int main(void) {",
        f"  static {name}_state state;",
    ]
    lines += _main_streaming(file) if interface.streams else _main_whole(file)
    return "\n".join([*lines, "  return 0;", f"}}\n#endif  // {upper}_MAIN\n"]).replace('""', "")


def _main_streaming(file: File) -> list[str]:
    name, upper = file.name, file.name.upper()
    return [
        f"  {file.interface.inputs[0].value.kind} x[{upper}_INPUTS];",
        f"  float y[{upper}_OUTPUTS];",
        f"  {name}_reset(&state);",
        f"  while ({name}_read(x)) {{",
        f"    {name}_step(&state, x, y);",
        f"    {name}_write(y);",
        "  }",
    ]


def _main_whole(file: File) -> list[str]:
    name, upper = file.name, file.name.upper()
    most = str(file.interface.fixed or f"{upper}_MOST_STEPS")
    return [
        f"  static {file.interface.inputs[0].value.kind} x[{most} * {upper}_INPUTS];",
        f"  static float work[{upper}_WORKSPACE({most})], y[{upper}_OUTPUT_ROWS({most}) * {upper}_OUTPUTS];",
        "  int steps = 0;",
        f"  while (steps < {most} && {name}_read(x + steps * {upper}_INPUTS)) ++steps;",
        f"  {name}_reset(&state);",
        f"  const int rows = {name}_run(&state, x, steps, work, y);",
        f"  for (int t = 0; t < rows; ++t) {name}_write(y + t * {upper}_OUTPUTS);",
    ]
