"""What a copy of a layer takes on once it is made: the name, the input's shape, the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from recurra._typing import Array
    from recurra.layers.base import Layer

_L = TypeVar("_L", bound="Layer")


def particulars(layer: Layer) -> tuple[str, Any, Array | None]:
    """Return a layer's name, its input's shape if it is built, and a copy of its values if it has any."""
    return layer.name, layer.input_shape, None if layer._theta is None else layer._theta.copy()


def take_on(layer: _L, name: str, shape: Any, values: Array | None) -> _L:
    """Give a new layer what `particulars` returned, and return it."""
    layer.name = name
    if shape is not None:
        layer.build(shape)
    if values is not None:
        layer._attach(values, np.zeros_like(values))
    return layer
