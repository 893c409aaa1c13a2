"""What a program consists of: values, and the operations that make them of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra.cexport.source import Source
    from recurra.cexport.steps import Steps

# When a value is known: before the first step, at each step, or after the last one.
BEFORE, EACH, AFTER = 0, 1, 2


class Value:
    """An array of the program, without the batch axis.

    Parameters
    ----------
    width : int
        Numbers of one row.
    steps : Steps or None
        Rows; None for a single one, without a time axis.
    phase : int
        When it is known.
    kind : str, default "float"
        In C.

    Attributes
    ----------
    own : str
        The C of a place in the state where the value lies anyway, "" if a place must be found.
    """

    def __init__(self, width: int, steps: Steps | None, phase: int, kind: str = "float") -> None:
        self.width, self.steps, self.phase, self.kind = width, steps, phase, kind
        self.own = ""

    @property
    def rows(self) -> int:
        """The fixed number of rows, 0 if it depends on the input."""
        return 1 if self.steps is None else self.steps.fixed or 0


class Span(NamedTuple):
    """Where a whole value lies: a pointer, the C of the number of its rows, numbers in a row."""

    pointer: str
    rows: str
    width: int

    def row(self, index: str) -> str:
        """Return the pointer to a row."""
        if self.rows == "1":
            return self.pointer
        return f"{self.pointer} + {index}" if self.width == 1 else f"{self.pointer} + {index} * {self.width}"

    @property
    def size(self) -> str:
        """The C of the number of its floats."""
        return f"{self.rows} * {self.width}" if self.rows != "1" else str(self.width)


class Operation:
    """Makes one value of others.

    Parameters
    ----------
    reads : sequence of Value
        What it is made of.
    width, steps
        Of what it makes; by default the steps of the first value with a time axis.

    Attributes
    ----------
    streams : bool
        Whether a row of the output needs just the rows read so far.
    alias : bool
        Whether the value lies where the one that it reads lies.
    """

    streams = True
    alias = False

    def __init__(self, reads: Sequence[Value], width: int, steps: Steps | str | None = "same") -> None:
        self.reads = list(reads)
        if isinstance(steps, str):
            steps = next((value.steps for value in reads if value.steps is not None), None)
        self.makes = Value(width, steps, max(value.phase for value in reads))

    def define(self, source: Source) -> None:
        """Add what the operation needs to the file."""

    def reset(self, source: Source) -> list[str]:
        """Return statements that start anew."""
        return []

    def step(self, x: list[str], y: str) -> list[str]:
        """Return statements that make one row, from pointers to rows."""
        raise NotImplementedError

    def run(self, x: list[Span], y: Span) -> list[str]:
        """Return statements that make the whole value; by default row by row."""
        if y.rows == "1":
            return self.step([span.row("0") if span.rows != "1" else span.pointer for span in x], y.pointer)
        lines = self.step([span.row("t") for span in x], y.row("t"))
        return loop("t", y.rows, lines)


class Pointwise(Operation):
    """A function of one row, given as the body of a C function of ``x`` and ``y``."""

    def body(self, source: Source) -> list[str]:
        """Return the function's lines."""
        raise NotImplementedError

    name = ""
    comment = ""

    def define(self, source: Source) -> None:
        """Add the function."""
        kinds = ", ".join(f"const {value.kind} *{x}" for value, x in zip(self.reads, self.arguments(), strict=True))
        self.function = source.function(self.name, f"{kinds}, float *y", self.body(source), self.comment or self.name)

    def arguments(self) -> list[str]:
        """Return the names of the function's arguments."""
        return ["x"] if len(self.reads) == 1 else [f"x{index}" for index in range(len(self.reads))]

    def step(self, x: list[str], y: str) -> list[str]:
        """Return the call."""
        return [f"{self.function}({', '.join([*x, y])});"]


def loop(index: str, count: str, lines: list[str]) -> list[str]:
    """Return a loop from 0 over statements."""
    head = f"for (int {index} = 0; {index} < {count}; ++{index})"
    if len(lines) == 1:
        return [f"{head} {lines[0]}"]
    return [head + " {", *("  " + line for line in lines), "}"]


def copied(count: str, x: str, y: str) -> str:
    """Return the statement that copies floats; both are pointers."""
    return f"for (int j = 0; j < {count}; ++j) {indexed(y)} = {indexed(x)};"


def indexed(pointer: str, index: str = "j") -> str:
    """Return an element of what a pointer expression points to."""
    return f"({pointer})[{index}]" if " " in pointer else f"{pointer}[{index}]"
