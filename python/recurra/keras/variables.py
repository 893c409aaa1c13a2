"""Which of Keras's variables a layer has, and where they stand: the one description that reading and writing share.

A `Holder` is a layer (or cell) as Keras sees it: its class, its own variables, the layers inside. Files of weights are
two walks over it: by path (``layers/lstm/cell/vars/0``) in ``.keras`` and ``.weights.h5``, as flat lists in ``.h5``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors, layers
from recurra.keras import cells
from recurra.keras.order import keras_order
from recurra.models import Functional, Sequential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recurra._typing import Array
    from recurra.layers.base import Layer

    Values = dict[tuple[int, str], Array]  # (id of the layer that declares it, name) to native array


@dataclass
class Holder:
    """A layer or cell as Keras sees it.

    Attributes
    ----------
    kind : str
        Keras's class.
    layer : Layer
        Ours, whose weights these are.
    names : list of str
        Keras's names of its own variables, in Keras's order.
    read : callable
        From those variables, as arrays, to ours by name.
    write : callable
        From ours by name to those variables.
    children : list of (str, Holder or list of Holder)
        What is inside, by Keras's attribute, in the order of Keras's ``weights``.
    """

    kind: str
    layer: Layer
    names: list[str] = field(default_factory=list)
    read: Callable[[Sequence[Array]], dict[str, Array]] = lambda arrays: {}
    write: Callable[[dict[str, Array]], list[Array]] = lambda views: []
    children: list[tuple[str, Any]] = field(default_factory=list)

    def inside(self) -> Iterator[Holder]:
        """Yield this one and all inside, in the order of Keras's ``weights``."""
        yield self
        for _, child in self.children:
            for one in child if isinstance(child, list) else [child]:
                yield from one.inside()

    def flat(self) -> list[tuple[Holder, int]]:
        """Return all variables in the order of a flat list: those that train, then the others."""
        every = [(holder, index) for holder in self.inside() for index in range(len(holder.names))]
        return [place for place in every if place[0].trains(place[1])] + [
            place for place in every if not place[0].trains(place[1])
        ]

    def trains(self, index: int) -> bool:
        """Whether Keras counts a variable among those that train."""
        return self.layer.trainable and self.names[index] not in _STATISTICS

    def native(self, arrays: Sequence[Array]) -> Values:
        """Return our arrays for its own variables."""
        if len(arrays) != len(self.names):
            expected = f"{len(self.names)} arrays ({', '.join(self.names)})"
            raise _errors.bad_value(f"weights of {self.layer.name!r}", expected, f"{len(arrays)}")
        places = {weight.name: (id(weight.layer), tail(weight.name)) for weight in self.layer.weights_declared}
        return {places[name]: array for name, array in self.read(arrays).items()}

    def arrays(self) -> list[Array]:
        """Return its own variables as Keras has them."""
        self.layer._allocate()
        return self.write(self.layer._views[0])


_STATISTICS = {"moving_mean", "moving_variance", "mean", "variance", "count"}
# Ours to Keras's, for layers whose arrays differ by an order of axes at most: class to (Keras's name, ours, axes).
_PLAIN: dict[type[Layer], list[tuple[str, str, tuple[int, ...] | None]]] = {
    layers.Dense: [("kernel", "weight", (1, 0)), ("bias", "bias", None)],
    layers.Conv1D: [("kernel", "weight", (2, 1, 0)), ("bias", "bias", None)],
    layers.Embedding: [("embeddings", "embeddings", None)],
    layers.BatchNormalization: [(n, n, None) for n in ("gamma", "beta", "moving_mean", "moving_variance")],
    layers.LayerNormalization: [(n, n, None) for n in ("gamma", "beta")],
    layers.Attention: [(n, n, None) for n in ("scale", "concat_score_weight")],
    layers.AdditiveAttention: [("scale", "scale", None)],
}


def holder(layer: Layer, kinds: dict[int, str] | None = None) -> Holder:
    """Return a built layer as Keras sees it; ``kinds``: Keras's classes of those that do not tell, by id."""
    known = kinds or {}
    kind = known.get(id(layer), type(layer).__name__)
    if isinstance(layer, layers.Recurrent):
        return _recurrent(layer, "RNN" if layer.of_cell else known.get(id(layer), ""))
    if isinstance(layer, layers.RecurrentStack):
        return _stack(layer)
    if isinstance(layer, layers.TimeDistributed):
        return Holder("TimeDistributed", layer, children=[("layer", holder(layer.layer, known))])
    if isinstance(layer, Functional | Sequential):
        graph = isinstance(layer, Functional)
        listed = keras_order(layer) if isinstance(layer, Functional) else layer.layers
        children = [("layers", [holder(one, known) for one in listed])]
        return Holder("Functional" if graph else "Sequential", layer, children=children)
    if isinstance(layer, layers.Normalization):
        return _normalization(layer)
    return _plain(layer, kind)


def _plain(layer: Layer, kind: str) -> Holder:
    own = [weight.name for weight in layer.weights_declared]
    table = _PLAIN.get(type(layer), [(name, name, None) for name in own])
    rows = [row for row in table if row[1] in own]

    def read(arrays: Sequence[Array]) -> dict[str, Array]:
        return {name: _turned(layer, a, axes) for (_, name, axes), a in zip(rows, arrays, strict=True)}

    def write(views: dict[str, Array]) -> list[Array]:
        return [views[name] if axes is None else views[name].transpose(axes) for _, name, axes in rows]

    return Holder(kind, layer, [name for name, _, _ in rows], read, write)


def _turned(layer: Layer, array: Array, axes: tuple[int, ...] | None) -> Array:
    if axes is None:
        return array
    if array.ndim != len(axes):
        raise _errors.bad_value(f"weights of {layer.name!r}", f"a kernel of {len(axes)} axes", f"{array.shape}")
    return array.transpose(axes)


def _normalization(layer: layers.Normalization) -> Holder:
    if layer.mean is None or layer.variance is None:
        made = _plain(layer, "Normalization")
        # Keras 2 also counts the samples it has seen
        made.read = lambda arrays: {"mean": np.ravel(arrays[0]), "variance": np.ravel(arrays[1])}
        return made
    shape = layer.weights_declared[0].shape
    given = {"mean": np.broadcast_to(layer.mean, shape), "variance": np.broadcast_to(layer.variance, shape)}
    return Holder("Normalization", layer, read=lambda arrays: given)


def _recurrent(layer: Any, kind: str) -> Holder:
    cells.check_expressible(layer, "weights")
    name = cells.CLASSES[layer.cell]
    if layer.directions == 1:
        return Holder(kind or name, layer, children=[("cell", _cell(layer, ""))])
    both = ("forward_layer", ""), ("backward_layer", "_reverse")
    inner = [(part, Holder(kind or name, layer, children=[("cell", _cell(layer, suffix))])) for part, suffix in both]
    return Holder("Bidirectional", layer, children=inner)


def _cell(layer: Any, suffix: str) -> Holder:
    return Holder(
        f"{cells.CLASSES[layer.cell]}Cell",
        layer,
        cells.variable_names(layer),
        lambda arrays: cells.from_keras(layer, suffix, arrays),
        lambda views: cells.to_keras(layer, suffix, views),
    )


def _stack(layer: Any) -> Holder:
    for one in layer.layers:
        if not isinstance(one, layers.Recurrent):
            raise _errors.bad_value("weights", "cells that Keras has", f"{one.name!r} of {layer.name!r}")
        cells.check_expressible(one, "weights")
    inner = [_cell(one, "") for one in layer.layers]
    return Holder("RNN", layer, children=[("cell", Holder("StackedRNNCells", layer, children=[("cells", inner)]))])


def tail(name: str) -> str:
    """Return a parameter's name in the layer that declares it."""
    return name.rpartition(".")[2]


def snake_case(name: str) -> str:
    """Return a class's name as Keras's files spell it."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(kinds: Sequence[str]) -> list[str]:
    """Return the names that Keras gives to things in a list, by their classes: lstm, dense, lstm_1, ..."""
    seen: dict[str, int] = {}
    made = []
    for kind in map(snake_case, kinds):
        number = seen[kind] = seen.get(kind, -1) + 1
        made.append(f"{kind}_{number}" if number else kind)
    return made


def fill(model: Layer, values: Values, path: str) -> None:
    """Set all parameters of a built model, whose memory is made only now that every shape is known to fit.

    Raises
    ------
    ValueError
        If an array is missing or has another shape; the parameters stay as they were.
    """
    found = []
    for weight in model.weights_declared:
        array = values.get((id(weight.layer), tail(weight.name)))
        if array is None or array.shape != weight.shape:
            got = "none" if array is None else f"shape {array.shape}"
            raise ValueError(f"{path}: expected weights of shape {weight.shape} for {weight.name!r}, got {got}")
        found.append(array)
    model.set_weights(found)
