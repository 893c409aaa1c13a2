"""What a layer declares about each of its parameters, and which stretches of a flat buffer an optimizer moves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from recurra._typing import Array
    from recurra.layers.parameters import Parameterized


class Rows:
    """The rows of a sparse table that hold gradients: those touched since they were last zeroed."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: list[Array] = []

    def add(self, rows: Array) -> None:
        """Note rows as touched; repeats do no harm."""
        self._seen.append(np.asarray(rows).reshape(-1))

    def touched(self) -> Array:
        """Return the touched rows, sorted, each once."""
        if len(self._seen) != 1 or self._seen[0].dtype != np.int64:
            self._seen = [np.concatenate([np.empty(0, np.int64), *self._seen])]
        self._seen[0] = np.unique(self._seen[0])
        return self._seen[0]

    def clear(self) -> None:
        """Forget all: their gradients are zero again."""
        self._seen.clear()


class Weight:
    """A parameter as a layer declares it.

    Attributes
    ----------
    name, shape, offset, size
        Key, shape, and place in the flat buffer, in elements.
    initializer : callable
        ``f(shape, seed, stream) -> array``.
    layer : Parameterized
        The layer that declared it, also where a model or a wrapper shows it as its own.
    trainable : bool
        False for statistics, which no optimizer moves.
    rows : Rows or None
        For a table whose gradient is zero but in touched rows.
    regularizer, constraint
        See `recurra.regularizers` and `recurra.constraints`; None for none.
    """

    __slots__ = ("constraint", "initializer", "layer", "name", "offset", "regularizer", "rows", "shape", "size",
                 "trainable")  # fmt: skip

    def __init__(
        self, layer: Parameterized, name: str, shape: tuple[int, ...], offset: int, initializer: Callable[..., Array]
    ) -> None:
        self.layer, self.name, self.shape, self.offset, self.initializer = layer, name, shape, offset, initializer
        self.size = math.prod(shape)
        self.trainable = True
        self.rows: Rows | None = None
        self.regularizer: Any = None
        self.constraint: Any = None

    def under(self, prefix: str, start: int) -> Weight:
        """Return the same parameter as the one that holds this layer shows it."""
        name = f"{prefix}.{self.name}" if prefix else self.name
        outer = Weight(self.layer, name, self.shape, start + self.offset, self.initializer)
        outer.trainable, outer.rows = self.trainable, self.rows
        outer.regularizer, outer.constraint = self.regularizer, self.constraint
        return outer

    @property
    def moves(self) -> bool:
        """Whether an optimizer moves it now."""
        return self.trainable and self.layer.trainable

    @property
    def place(self) -> slice:
        """Its place in the flat buffers."""
        return slice(self.offset, self.offset + self.size)


def inside(layer: Parameterized) -> Iterator[Parameterized]:
    """Yield the layers inside a layer, at any depth, in order."""
    for inner in layer._held():
        yield inner
        yield from inside(inner)


class Part(NamedTuple):
    """A stretch of the flat buffers that an optimizer moves.

    Attributes
    ----------
    start, stop : int
        In elements.
    rows : numpy.ndarray, shape (touched,), or None
        None: all of it; else a table of which only these rows have gradients, sorted.
    width : int
        Columns of that table.
    """

    start: int
    stop: int
    rows: Array | None
    width: int


def moving_parts(weights: Iterable[Weight]) -> Iterator[tuple[Part, Rows | None]]:
    """Yield the stretches that move, dense neighbours as one, each table apart with its touched rows."""
    start = stop = 0
    for weight in weights:
        if not weight.moves or not weight.size:
            continue
        if weight.rows is None and weight.offset == stop:
            stop += weight.size
            continue
        if stop > start:
            yield Part(start, stop, None, 0), None
        start, stop = weight.offset, weight.offset + weight.size
        if weight.rows is not None:
            yield Part(start, stop, None, weight.shape[-1]), weight.rows
            start = stop
    if stop > start:
        yield Part(start, stop, None, 0), None
