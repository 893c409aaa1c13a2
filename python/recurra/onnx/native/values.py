"""What the values of a graph mean to the one who looks for layers in it.

A graph of another library moves axes around its layers. A `Data` therefore says which array of a recurra model it is,
and how its axes are made of that array's: transposing, squeezing and most reshaping change this alone, and nothing is
computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from recurra._typing import Array

# A size of an axis: a number, or what stands for one that is open; products of open ones are tuples of them.
Size: TypeAlias = "int | str | tuple[int | str, ...]"
# An axis of an array, or a part of it: the direction ("d") and the units ("u") of a bidirectional layer's last axis.
Atom: TypeAlias = "int | str"
# Which parts make an axis of a value, outermost first; none for an axis of size 1 that the array does not have.
Axes: TypeAlias = "tuple[tuple[Atom, ...], ...]"


class Unmatched(Exception):
    """Something that no layer of recurra says."""


@dataclass(eq=False)
class Call:
    """A call of a layer that is to be made.

    Attributes
    ----------
    make : callable
        From keyword arguments to the layer.
    inputs : list of Ref
        What it is called on; a recurrent layer's initial states follow its input.
    weights : dict of str to numpy.ndarray
        The layer's parameters.
    name : str
        What the layer is called; may be empty.
    merges : bool
        Whether the layer takes a list.
    options : dict
        Arguments of ``make``.
    kind : str
        "recurrent" for layers of several outputs; "linear" for those that take an activation.
    """

    make: Callable[..., Any]
    inputs: list[Ref]
    weights: dict[str, Array] = field(default_factory=dict)
    name: str = ""
    merges: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = ""


@dataclass(eq=False)
class Ref:
    """An array of the model that is to be made, batch axis first.

    Attributes
    ----------
    sizes : tuple of (int or str)
        Of its axes, a text for an open one.
    call : Call or None
        What it is an output of; None for an input.
    output : str
        Which output: "" for the only one; of a recurrent layer "y" for all steps, "last", or "h0", "c0", "h1", ... for
        a direction's final state.
    integers : bool
        Whether it holds integers.
    """

    sizes: tuple[int | str, ...]
    call: Call | None = None
    output: str = ""
    integers: bool = False

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.sizes)


@dataclass(frozen=True)
class Data:
    """An array that a graph computes, as a view of one that a layer computes.

    Attributes
    ----------
    ref : Ref
        The array.
    axes : tuple of tuple
        What each axis is made of.
    split : int
        Into how many directions the last axis of ``ref`` is split, if ``axes`` name its parts.
    """

    ref: Ref
    axes: Axes
    split: int = 1

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes of the axes."""
        return tuple(product(self.size(atom) for atom in axis) for axis in self.axes)

    def size(self, atom: Atom) -> int | str:
        """Return the size of a part of an axis."""
        if isinstance(atom, int):
            return self.ref.sizes[atom]
        units = self.ref.sizes[-1]
        assert isinstance(units, int)
        return self.split if atom == "d" else units // self.split

    @property
    def plain(self) -> bool:
        """Whether it is the array as it is."""
        return self.axes == whole(self.ref.rank)

    def viewed(self, axes: Axes) -> Data:
        """Return the same array with its axes made otherwise; both parts of the last axis in order are that axis."""
        last = self.ref.rank - 1
        joined = tuple(_joined(axis, last) for axis in axes)
        return Data(self.ref, joined, self.split if any("d" in axis for axis in joined) else 1)

    def on(self, ref: Ref) -> Data:
        """Return another array of as many axes in the same view."""
        if self.split != 1:
            raise Unmatched("directions apart")
        return Data(ref, self.axes)


@dataclass(frozen=True)
class Stacked:
    """Final states (batch, size) side by side along a new first axis."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True)
class Const:
    """Numbers of the file."""

    array: Array
    name: str = ""


@dataclass(frozen=True)
class Filled:
    """One number everywhere, in a shape that nobody needs to know."""

    number: float


@dataclass(frozen=True)
class Repeated:
    """A state of the file, (directions, 1, size), repeated for the batch."""

    array: Array


@dataclass(frozen=True)
class Sizes:
    """Sizes of axes: a vector of them, or a single one."""

    items: tuple[Size, ...]
    scalar: bool = False


Meaning: TypeAlias = "Data | Stacked | Const | Filled | Repeated | Sizes | None"


def whole(rank: int) -> Axes:
    """Return the axes of an array as it is."""
    return tuple((axis,) for axis in range(rank))


def data(ref: Ref) -> Data:
    """Return an array as it is."""
    return Data(ref, whole(ref.rank))


def product(sizes: Iterable[Size]) -> Size:
    """Return the size of an axis made of several."""
    known, opened = 1, []
    for size in sizes:
        for part in size if isinstance(size, tuple) else (size,):
            if isinstance(part, int):
                known *= part
            else:
                opened.append(part)
    if not opened:
        return known
    return opened[0] if len(opened) == 1 and known == 1 else (known, *sorted(opened))


def _joined(axis: tuple[Atom, ...], last: int) -> tuple[Atom, ...]:
    """Return an axis with ("d", "u") written as the last axis that they are."""
    parts: list[Atom] = []
    for atom in axis:
        if atom == "u" and parts and parts[-1] == "d":
            parts[-1] = last
        else:
            parts.append(atom)
    return tuple(parts)


def integers(meaning: Meaning) -> list[int]:
    """Return the integers of a constant, as a flat list."""
    if not isinstance(meaning, Const) or meaning.array.dtype.kind not in "iu" or meaning.array.size > 64:
        raise Unmatched("no constant integers")
    return [int(number) for number in np.ravel(meaning.array)]
