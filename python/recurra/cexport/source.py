"""What a C file is put together from: constant arrays, members of the state, functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recurra.cexport import maths
from recurra.cexport.storage import KINDS, finite, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from recurra._typing import Array
    from recurra.activations import Activation

_FEW = 4  # so few outputs are sums over the inputs; more are computed side by side, as many as the CPU likes
_AT_ONCE = 4  # columns added in one pass over the outputs
_TAKEN = ("reset", "step", "run", "each", "after", "state", "compare", "read", "write")  # by other functions
_WORTH_SHARING = 64  # numbers from which equal arrays are written once


class Matrix(NamedTuple):
    """A constant matrix of the file.

    Attributes
    ----------
    name : str
        Of its array.
    outputs, inputs : int
        Its shape; as an array it is (inputs, outputs), with few outputs (outputs, inputs).
    scale : str
        Name of the array that the products are multiplied with, "" for none.
    kind : str
        A key of ``KINDS``.
    few : bool
        Which way it lies.
    """

    name: str
    outputs: int
    inputs: int
    scale: str
    kind: str
    few: bool


class Source:
    """The parts of a file, collected while operations describe themselves.

    Parameters
    ----------
    name : str
        Prefix of everything in the file.
    kind : str
        How matrices are stored.
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.prefix = f"{name}_"
        self.arrays: list[str] = []
        self.functions: list[str] = []
        self.members: list[tuple[str, int, str]] = []  # of the state: name, floats, what it is
        self.bytes = 0  # of all constant arrays
        self._helpers: dict[str, str] = {}
        self._names: set[str] = {*maths.FUNCTIONS, *_TAKEN}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def unique(self, wanted: str) -> str:
        """Return a C identifier like a layer's name, one for each."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII).strip("_") or "layer"
        base = f"layer_{base}" if base.startswith("test") else base
        name, number = base, 0
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    def member(self, name: str, count: int, what: str) -> str:
        """Add an array of floats to the state; return how functions with the pointer ``s`` call it."""
        own = self.unique(name)
        self.members.append((own, count, said(what)))
        return f"s->{own}"

    # Constants

    def vector(self, name: str, values: Any, what: str = "") -> str:
        """Add an array of floats; return its name."""
        return self.array(name, finite(values), "float", what)

    def matrix(self, name: str, values: Any, what: str = "") -> Matrix:
        """Add a matrix (outputs, inputs) in the file's kind of storage."""
        values = np.asarray(values)
        outputs, inputs = values.shape
        few = self.are_few(outputs, inputs)
        codes, scales = store(self.kind, values)
        way = f"[{outputs}][{inputs}]" if few else f"[{inputs}][{outputs}], one output after the other"
        text = f"{what}; {way}" if what else way
        full = self.array(name, codes if few else codes.T, KINDS[self.kind], text)
        scale = "" if scales is None else self.vector(f"{name}_scale", scales, f"what the products of {name} count")
        return Matrix(full, outputs, inputs, scale, self.kind, few)

    def table(self, name: str, values: Any, what: str) -> tuple[str, str]:
        """Add a table whose rows are looked up; return its name and that of the rows' scales."""
        codes, scales = store(self.kind, values)
        scale = "" if scales is None else self.vector(f"{name}_scale", scales, f"of each row of {name}")
        return self.array(name, codes, KINDS[self.kind], what), scale

    def array(self, name: str, values: Array, kind: str, what: str) -> str:
        """Add a constant array of a C type; return its name."""
        key = (kind, values.shape, values.tobytes())
        if key in self._known:
            return self._known[key]  # a layer that a graph calls twice
        full = self.prefix + self.unique(name)
        if values.size >= _WORTH_SHARING:
            self._known[key] = full
        self.bytes += values.nbytes
        self.arrays.append(array_text(full, values, kind, said(what)))
        return full

    @staticmethod
    def are_few(outputs: int, inputs: int) -> bool:
        """Return whether a matrix lies row by row, for sums over its inputs."""
        return outputs <= _FEW and inputs >= 8

    # Functions

    def helper(self, name: str) -> str:
        """Ask for a function of `maths`; return what it is called here."""
        if name and name not in self._helpers:
            function = maths.FUNCTIONS[name]
            for other in function.needs:
                self.helper(other)
            self._helpers[name] = function.text.strip("\n").replace("@", self.prefix)
        return self.prefix + name

    def helpers(self) -> Iterable[str]:
        """Return the functions of `maths` that were asked for, each after those it calls."""
        return self._helpers.values()

    def activated(self, activation: Activation, x: str) -> str:
        """Return the C of an activation of an operand."""
        text, needed = maths.call(activation, x, self.prefix)
        self.helper(needed)
        return text

    def function(self, name: str, parameters: str, body: Iterable[str], comment: str = "") -> str:
        """Add a function that returns nothing; return its name."""
        full = self.prefix + self.unique(name)
        lines = [f"// {said(comment)}"] if comment else []
        lines += [f"static void {full}({parameters}) {{", *("  " + line for line in body), "}"]
        self.functions.append("\n".join(lines))
        return full

    # Products

    def accumulate(self, matrix: Matrix, x: str, z: str, start: str = "") -> list[str]:
        """Return the C of ``z += M x``, or of ``z = start + M x``, start being an operand of j; int8 lacks its scales.

        z is to be an array of the function's own, so that compilers know that nothing else lies there: with
        ``restrict`` instead, gcc 12 wrote wrong code for AVX-512. It also made a loop of ``z = start`` alone a copy of
        constants, some of them wrong.
        """
        weight = self._weight(matrix.kind)
        outputs, inputs = matrix.outputs, matrix.inputs
        if matrix.few:
            return self._dots(matrix, x, z, start)
        lines, first = [], 0
        if start:
            first = min(inputs, _AT_ONCE)
            lines += _sum(z, outputs, self._terms(matrix, x, range(first)), start)
        whole = inputs // _AT_ONCE * _AT_ONCE
        if whole > first:
            lines += [f"for (int k = {first}; k < {whole}; k += {_AT_ONCE}) {{"]
            lines += [f"  const {KINDS[matrix.kind]} *w = {matrix.name} + k * {outputs};"]
            terms = [(_at(x, "k", i), weight(_at("w", "j", i * outputs))) for i in range(_AT_ONCE)]
            lines += ["  " + line for line in _sum(z, outputs, terms)] + ["}"]
        rest = range(max(first, whole), inputs)
        return lines + (_sum(z, outputs, self._terms(matrix, x, rest)) if rest else [])

    def _terms(self, matrix: Matrix, x: str, inputs: range) -> list[tuple[str, str]]:
        weight = self._weight(matrix.kind)
        return [(f"{x}[{i}]", weight(_at(matrix.name, "j", i * matrix.outputs))) for i in inputs]

    def _dots(self, matrix: Matrix, x: str, z: str, start: str) -> list[str]:
        dot, lines = self.helper(maths.DOTS[matrix.kind]), []
        for o in range(matrix.outputs):
            place = f"{matrix.name} + {o * matrix.inputs}" if o else matrix.name
            begin = start.replace("[j]", f"[{o}]") + " + " if start not in ("", "0.0f") else ""
            lines.append(f"{z}[{o}] {'=' if start else '+='} {begin}{dot}({place}, {x}, {matrix.inputs});")
        return lines

    def _weight(self, kind: str) -> Callable[[str], str]:
        """Return how the C of a stored number becomes that of a float."""
        if kind == "float16":
            half = self.helper("half")
            return lambda text: f"{half}({text})"
        return (lambda text: f"(float){text}") if kind == "int8" else (lambda text: text)

    def value(self, text: str) -> str:
        """Return the float that an element of a stored table means."""
        return self._weight(self.kind)(text)


def said(text: str) -> str:
    """Return a text for a comment: names of layers may hold what would end it, or trigraphs."""
    return "".join(letter if letter.isprintable() and letter not in "\\?" else "_" for letter in text)


def _at(base: str, index: str, offset: int) -> str:
    return f"{base}[{index} + {offset}]" if offset else f"{base}[{index}]"


def _sum(z: str, count: int, terms: list[tuple[str, str]], start: str = "") -> list[str]:
    """Return the loop that adds terms (factor, weight) to z, or to the start, in the order in which fma chains them."""
    first = [] if start == "0.0f" else [start or f"{z}[j]"]
    products = [*first, *(f"{factor} * {weight}" for factor, weight in terms)]
    head, text = f"for (int j = 0; j < {count}; ++j)", f"{z}[j] = {' + '.join(products)};"
    if len(text) <= 100:
        return [head, f"  {text}"]
    middle = (len(products) + 1) // 2
    return [head, f"  {z}[j] = {' + '.join(products[:middle])} +", f"         {' + '.join(products[middle:])};"]


def array_text(name: str, values: Array, kind: str, what: str, width: int = 112) -> str:
    """Return a constant array in C; float32 is written with the nine digits that make it exact."""
    flat = values.reshape(-1)
    numbers = [maths.literal(v) if kind == "float" else str(v) for v in flat.tolist()]
    lines, line = [], ""
    for number in numbers:
        if len(line) + len(number) + 2 > width:
            lines.append(line.rstrip())
            line = ""
        line += number + ", "
    lines.append(line.rstrip().removesuffix(","))
    head = f"// {what}\n" if what else ""
    return head + f"static const {kind} {name}[{flat.size}] = {{\n  " + "\n  ".join(lines) + "\n};"
