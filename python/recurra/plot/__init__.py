"""Pictures: gradient flow, gates over time, forecasts, attention, confusion, training, a model's layers.

Drawing needs matplotlib (``pip install 'recurra[plot]'``), which is loaded by the first picture; `plot_model` writes
SVG and `gradient_norms` returns numbers without it. Every function draws on the Axes it is given (``ax=``) or on a new
Figure of its own; none touches pyplot, its current figure or its settings, and none shows anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.plot.flow import gradient_flow, gradient_norms
    from recurra.plot.heatmaps import attention, confusion
    from recurra.plot.inside import gates
    from recurra.plot.lines import forecast, history
    from recurra.plot.model import plot_model

__all__ = ["attention", "confusion", "forecast", "gates", "gradient_flow", "gradient_norms", "history", "plot_model"]

# Where each name lives.
_HOMES = {
    "attention": "heatmaps",
    "confusion": "heatmaps",
    "forecast": "lines",
    "gates": "inside",
    "gradient_flow": "flow",
    "gradient_norms": "flow",
    "history": "lines",
    "plot_model": "model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'recurra.plot' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"recurra.plot.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
