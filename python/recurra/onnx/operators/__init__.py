"""The operators that run, by name: each with a function that binds it to a node.

A builder takes a `Site` and returns a function of the node's inputs, None for those left out. Operators of ``MANY``
return a tuple, the others an array.
"""

from __future__ import annotations

from typing import Any

from recurra.onnx.operators import control, elementwise, indexing, products, reductions, reference, shapes, windows
from recurra.onnx.recurrent import Recurrent


def _recurrent(site: Any) -> Recurrent:
    return Recurrent(site.node, site.constants, site.where)


BUILDERS: dict[str, Any] = {
    **reference.BUILDERS,
    **control.BUILDERS,
    **elementwise.BUILDERS,
    **indexing.BUILDERS,
    **products.BUILDERS,
    **reductions.BUILDERS,
    **shapes.BUILDERS,
    **windows.BUILDERS,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RNN": _recurrent,
}

MANY = {
    *reference.BUILDERS,
    *control.BUILDERS,
    "AveragePool",
    "BatchNormalization",
    "Dropout",
    "GRU",
    "LSTM",
    "LayerNormalization",
    "LpPool",
    "MaxPool",
    "RNN",
    "Split",
}


def supported_operators() -> list[str]:
    """Return the names of the operators that run."""
    return sorted(BUILDERS)
