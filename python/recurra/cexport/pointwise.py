"""Operations on each row alone: products, activations, normalisation, tables, merging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.cexport.maths import literal
from recurra.cexport.operations import Operation, Pointwise, copied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.activations import Activation
    from recurra.cexport.operations import Value
    from recurra.cexport.source import Source


def activate(source: Source, activation: Activation, count: int, x: str, y: str) -> list[str]:
    """Return ``y = f(x)`` for rows of so many numbers."""
    if activation.name == "softmax":
        first = [] if x == y else [f"for (int j = 0; j < {count}; ++j) {y}[j] = {x}[j];"]
        return [*first, f"{source.helper('softmax')}({y}, {count}, 1);"]
    if activation.name == "identity" and x == y:
        return []
    return [f"for (int j = 0; j < {count}; ++j) {y}[j] = {source.activated(activation, f'{x}[j]')};"]


class Product(Pointwise):
    """y = f(W x + b)."""

    def __init__(self, x: Value, name: str, weight: Array, bias: Array | None, activation: Activation) -> None:
        super().__init__([x], len(weight))
        self.name, self.weight, self.bias, self.activation = name, weight, bias, activation
        self.comment = f"Dense {name}: {weight.shape[1]} to {len(weight)} numbers, then {activation.name}."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        count = self.makes.width
        matrix = source.matrix(f"{self.name}_weight", self.weight, "W")
        bias = "" if self.bias is None else source.vector(f"{self.name}_bias", self.bias) + "[j]"
        start = "0.0f" if matrix.scale else bias or "0.0f"
        lines = [f"float z[{count}];", *source.accumulate(matrix, "x", "z", start)]
        if matrix.scale:
            shift = f" + {bias}" if bias else ""
            lines.append(f"for (int j = 0; j < {count}; ++j) z[j] = {matrix.scale}[j] * z[j]{shift};")
        return lines + activate(source, self.activation, count, "z", "y")


class Activate(Pointwise):
    """y = f(x)."""

    def __init__(self, x: Value, name: str, activation: Activation) -> None:
        super().__init__([x], x.width)
        self.name, self.activation = name, activation
        self.comment = f"{name}: {activation.name} of {x.width} numbers."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        return activate(source, self.activation, self.makes.width, "x", "y")


class Formula(Pointwise):
    """y[j] = a C expression of x[j]."""

    def __init__(self, x: Value, name: str, expression: str) -> None:
        super().__init__([x], x.width)
        self.name, self.expression = name, expression

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        return [f"for (int j = 0; j < {self.makes.width}; ++j) y[j] = {self.expression};"]


class Affine(Pointwise):
    """y = scale x + shift, each number with its own."""

    def __init__(self, x: Value, name: str, scale: Any, shift: Any) -> None:
        super().__init__([x], x.width)
        self.name = name
        self.scale, self.shift = (np.broadcast_to(values, (x.width,)) for values in (scale, shift))
        self.comment = f"{name}: a scale and a shift for each of {x.width} numbers."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        scale = source.vector(f"{self.name}_scale", self.scale)
        shift = source.vector(f"{self.name}_shift", self.shift)
        return [f"for (int j = 0; j < {self.makes.width}; ++j) y[j] = {scale}[j] * x[j] + {shift}[j];"]


class Normalise(Pointwise):
    """Mean 0 and variance 1 for each row, then gamma and beta."""

    def __init__(self, x: Value, name: str, epsilon: float, gamma: Array | None, beta: Array | None) -> None:
        super().__init__([x], x.width)
        self.name, self.epsilon, self.gamma, self.beta = name, epsilon, gamma, beta
        self.comment = f"LayerNormalization {name} of {x.width} numbers."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        count = self.makes.width
        lines = [f"for (int j = 0; j < {count}; ++j) y[j] = x[j];"]
        lines.append(f"{source.helper('normalise')}(y, {count}, {literal(self.epsilon)});")
        gamma = "" if self.gamma is None else source.vector(f"{self.name}_gamma", self.gamma) + "[j] * "
        beta = "" if self.beta is None else " + " + source.vector(f"{self.name}_beta", self.beta) + "[j]"
        return [*lines, f"for (int j = 0; j < {count}; ++j) y[j] = {gamma}y[j]{beta};"] if gamma or beta else lines


class LookUp(Pointwise):
    """The row of a table that an integer names."""

    def __init__(self, x: Value, name: str, table: Array) -> None:
        super().__init__([x], table.shape[1])
        self.name, self.entries = name, table
        self.comment = f"Embedding {name}: {len(table)} rows of {table.shape[1]} numbers; 0 for an index outside."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        rows, count = self.entries.shape
        table, scale = source.table(f"{self.name}_embeddings", self.entries, f"[{rows}][{count}]")
        value = source.value(f"{table}[x[0] * {count} + j]") + (f" * {scale}[x[0]]" if scale else "")
        return [
            f"if (x[0] < 0 || x[0] >= {rows}) {{",
            f"  for (int j = 0; j < {count}; ++j) y[j] = 0.0f;",
            "  return;",
            "}",
            f"for (int j = 0; j < {count}; ++j) y[j] = {value};",
        ]


class Mask(Pointwise):
    """Zero where all numbers of a row are the value that marks padding."""

    def __init__(self, x: Value, name: str, value: float) -> None:
        super().__init__([x], x.width)
        self.name, self.value = name, value

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        count = self.makes.width
        value = literal(self.value)
        return [
            "int counts = 0;",
            f"for (int j = 0; j < {count}; ++j) counts |= x[j] < {value} || x[j] > {value};",
            f"for (int j = 0; j < {count}; ++j) y[j] = counts ? x[j] : 0.0f;",
        ]


class Merge(Pointwise):
    """Several values, element by element; one of a single number or a single row goes with all of another."""

    _SIGNS = {"Add": " + ", "Average": " + ", "Subtract": " - ", "Multiply": " * "}  # noqa: RUF012

    def __init__(self, reads: Sequence[Value], name: str, how: str) -> None:
        rows = [value.steps for value in reads if value.rows != 1]
        steps = rows[0] if rows else next((value.steps for value in reads if value.steps is not None), None)
        super().__init__(reads, max(value.width for value in reads), steps)
        self.name, self.how = name, how
        self.comment = f"{how} {name}: {len(self.reads)} values."

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        count = self.makes.width
        at = [
            f"{x}[{'j' if value.width == count else '0'}]"
            for x, value in zip(self.arguments(), self.reads, strict=True)
        ]
        if self.how in self._SIGNS:
            text = self._SIGNS[self.how].join(at)
            if self.how == "Average":
                text = f"({text}) * {literal(1.0 / len(at))}"
            return [f"for (int j = 0; j < {count}; ++j) y[j] = {text};"]
        sign = ">" if self.how == "Maximum" else "<"
        lines = [f"float most = {at[0]};", *(f"most = {one} {sign} most ? {one} : most;" for one in at[1:])]
        return [f"for (int j = 0; j < {count}; ++j) {{", *("  " + line for line in lines), "  y[j] = most;", "}"]


class Beside(Operation):
    """Values side by side in each row."""

    def __init__(self, reads: Sequence[Value]) -> None:
        super().__init__(reads, sum(value.width for value in reads))

    def step(self, x: list[str], y: str) -> list[str]:
        """Return the copies."""
        lines, start = [], 0
        for pointer, value in zip(x, self.reads, strict=True):
            lines.append(copied(str(value.width), pointer, f"{y} + {start}" if start else y))
            start += value.width
        return lines
