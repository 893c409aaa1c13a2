"""Gates and states of a recurrent layer over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.recurrent import Recurrent
from recurra.layers.trace import Trace, traced
from recurra.plot import _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array
    from recurra.layers.base import Layer
    from recurra.layers.trace import DirectionTrace

_TITLES = {
    "i": "input gate $i$",
    "f": "forget gate $f$",
    "g": "candidate $g$",
    "o": "output gate $o$",
    "r": "reset gate $r$",
    "z": "update gate $z$",
    "n": "candidate $n$",
    "c": "cell state $c$",
    "h": "hidden state $h$",
}
_SHARES = ("i", "f", "o", "r", "z")


def gates(
    model_or_layer: Layer,
    x: Any,
    *,
    sample: int = 0,
    layer: str | None = None,
    direction: str | None = None,
    names: Sequence[str] | None = None,
    tokens: Sequence[Any] | None = None,
    lengths: Any = None,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw what each unit's gates and states do over time, one heat map for each gate.

    Parameters
    ----------
    model_or_layer : Sequential, Model or recurrent layer
        A model is run as `Trainer.trace` runs it, a layer as `Recurrent.trace` does.
    x : array_like, shape (batch, time, features)
        Input, of which one sample is drawn.
    sample : int, default 0
        Which.
    layer : str, optional
        Name of the model's layer, as in its trace; by default its first recurrent layer.
    direction : str, optional
        ``"l0"``, ``"l0_reverse"``, ``"l1"``, ... of a layer with several; by default the first.
    names : sequence of str, optional
        Which of the gates (i, f, g, o; r, z, n) and states (c, h), top to bottom; by default all.
    tokens : sequence, optional
        A label for each time step, such as the characters read; drawn up to 64 of them.
    lengths : array_like of int, shape (batch,), optional
        Steps of each sample; later ones are not drawn.
    title : str, optional
        By default the layer's name.
    ax : sequence of matplotlib.axes.Axes, optional
        One for each panel; by default on a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        With one panel for each gate and state: units downward, time to the right. Gates with values from 0 to 1 share
        one colour scale, signed values have a scale around 0 each.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown or an argument does not fit.
    ImportError
        If matplotlib is not installed.
    """
    label, trace = _trace(model_or_layer, x, lengths, layer)
    part = trace[_errors.check_choice("direction", direction, list(trace))] if direction else next(iter(trace.values()))
    sample = _errors.check_integer("sample", sample, 0, len(part.h) - 1)
    steps = part.h.shape[1] if lengths is None else int(np.asarray(lengths)[sample])
    panels = {name: values[sample, :steps].T for name, values in _series(part, names).items()}
    tokens = _axes.check_tokens("tokens", tokens, steps, "time step")
    axes = _axes.panels(ax, [1.0] * len(panels))
    for one, (name, values) in zip(axes, panels.items(), strict=True):
        _panel(one, name, values)
        _axes.token_ticks(one.xaxis, tokens, steps)
    for one in axes[:-1]:
        one.tick_params(labelbottom=False)
    axes[-1].set_xlabel("token" if tokens is not None and steps <= _axes.MOST_LABELS else "time step $t$")
    if title is None:
        title = f"{label}, {direction}" if direction else label
    if title:
        axes[0].set_title(title, loc="left", fontsize="medium", fontweight="bold", pad=3)
    return axes[0].figure


def _trace(model: Layer, x: Any, lengths: Any, name: str | None) -> tuple[str, Trace]:
    """Return the trace to draw, with the name of its layer."""
    if isinstance(model, Recurrent):
        if name not in (None, model.name):
            raise _errors.bad_value("layer", f"None or {model.name!r}", repr(name))
        array = _errors.as_real("x", x, model.dtype)
        h0, c0, steps = model._checked(array, None, lengths, None)
        return model.name, traced(model, array, h0, c0, steps)[0]
    run = getattr(model, "trace", None)
    if run is None:
        raise _errors.bad_type("model_or_layer", "a model or a recurrent layer", model)
    traces = {key: value for key, value in run(x, lengths).items() if isinstance(value, Trace)}
    if not traces:
        raise _errors.bad_value("model_or_layer", "a model with a recurrent layer", f"{model.name!r}")
    chosen = next(iter(traces)) if name is None else _errors.check_choice("layer", name, traces)
    return chosen, traces[chosen]


def _series(part: DirectionTrace, names: Sequence[str] | None) -> dict[str, Array]:
    """Return the gates and states to draw."""
    known = {**part.gates, **({} if part.c is None else {"c": part.c}), "h": part.h}
    if names is None:
        return known
    chosen = {name: known[_errors.check_choice("names", name, known)] for name in names}
    if not chosen:
        raise _errors.bad_value("names", "at least one of " + ", ".join(known), "none")
    return chosen


def _panel(ax: Any, name: str, values: Array) -> None:
    """Draw one gate or state (units, time) with its scale."""
    if name in _SHARES:
        low, high = min(0.0, float(values.min(initial=0.0))), max(1.0, float(values.max(initial=1.0)))
        colours = _axes.SHARES
    else:
        high = float(np.abs(values).max(initial=0.0)) or 1.0
        low, colours = -high, _axes.SIGNED
    image = _axes.heat_map(ax, values, colours, (low, high))
    ax.set_title(_TITLES[name], loc="right", fontsize="small", pad=3)
    ax.set_ylabel("unit", fontsize="small")
    ax.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01, aspect=12, ticks=[low, (low + high) / 2, high], format="%.2g")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize="x-small")
