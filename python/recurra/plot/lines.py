"""Series over time: forecasts beside the truth, and the course of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.plot import _axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array
    from recurra.callbacks import History


def forecast(
    history: Any,
    truth: Any,
    prediction: Any,
    interval: Any = None,
    *,
    time: Any = None,
    interval_label: str = "interval",
    ylabel: str | None = None,
    title: str | None = "Forecast",
    ax: Any = None,
) -> Any:
    """Draw a forecast after what was known, beside what came.

    Parameters
    ----------
    history : array_like, shape (past,)
        What the forecast was made from.
    truth : array_like, shape (horizon,), or None
        What came; None if that is not known yet.
    prediction : array_like, shape (horizon,)
        The forecast.
    interval : pair of array_like, shape (horizon,), or array of shape (horizon, 2), optional
        Lower and upper bounds of the forecast at each step: ``(low, high)``.
    time : array_like, shape (past + horizon,), optional
        Positions on the x axis, such as years or dates; by default steps from the forecast's start, the first
        predicted one being 1.
    interval_label : str, default "interval"
        What the bounds are, for the legend: ``"90 % interval"``.
    ylabel : str, optional
        What is forecast, with its unit.
    title : str, optional
        None for none.
    ax : matplotlib.axes.Axes, optional
        To draw on; by default on a new Figure.

    Returns
    -------
    matplotlib.axes.Axes
        Lines "known", "truth" and "forecast", and the area between the bounds.

    Raises
    ------
    TypeError, ValueError
        If lengths differ.
    ImportError
        If matplotlib is not installed.
    """
    past, predicted = _axes.series("history", history), _axes.series("prediction", prediction)
    horizon = len(predicted)
    came = None if truth is None else _axes.series("truth", truth)
    if came is not None and len(came) != horizon:
        raise _errors.bad_value("truth", f"{horizon} steps, as in prediction", f"{len(came)}")
    bounds = None if interval is None else _bounds(interval, horizon)
    at = np.arange(1 - len(past), horizon + 1) if time is None else np.asarray(time)
    if at.shape != (len(past) + horizon,):
        raise _errors.bad_value("time", f"shape ({len(past) + horizon},), history and horizon", f"{at.shape}")
    ax = _axes.axes(ax)
    last, ahead = max(len(past) - 1, 0), at[len(past) :]
    # Lines start at the last known value, so that no gap lies between what was known and what follows.
    joint = at[last : len(past)]
    known = past[last:]
    ax.plot(at[: len(past)], past, color=_axes.GREY, linewidth=1.4, label="known")
    if came is not None:
        ax.plot(_joined(joint, ahead), _joined(known, came), color=_axes.COLOURS[6], linewidth=1.4, label="truth")
    ax.plot(_joined(joint, ahead), _joined(known, predicted), color=_axes.COLOURS[0], linewidth=2.0, label="forecast")
    if bounds is not None:
        ax.fill_between(
            ahead, *bounds, color=_axes.COLOURS[0], alpha=0.18, linewidth=0, label=interval_label, zorder=1.5
        )
    if len(past):
        ax.axvline(at[last], color=_axes.GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    _labels(ax, "step" if time is None else "", ylabel, title)
    return ax


def _joined(first: Array, rest: Array) -> Array:
    return np.concatenate([first, rest])


def _bounds(interval: Any, horizon: int) -> tuple[Array, Array]:
    """Return lower and upper bounds from a pair of arrays or an array of pairs."""
    if isinstance(interval, tuple | list) and len(interval) == 2 and np.ndim(interval[0]) == 1:
        low, high = (_axes.series(f"interval[{side}]", interval[side]) for side in (0, 1))
    else:
        array = _errors.as_real("interval", interval, np.dtype(np.float64))
        _errors.check_shape("interval", array.shape, ("horizon", "bounds"), (horizon, 2))
        low, high = array[:, 0], array[:, 1]
    for side, values in enumerate((low, high)):
        if len(values) != horizon:
            raise _errors.bad_value(f"interval[{side}]", f"{horizon} steps, as in prediction", f"{len(values)}")
    if (low > high).any():
        step = int(np.flatnonzero(low > high)[0])
        raise _errors.bad_value("interval", "low <= high", f"{low[step]:g} > {high[step]:g} at step {step}")
    return low, high


def _labels(ax: Any, xlabel: str, ylabel: str | None, title: str | None) -> None:
    if xlabel:
        ax.set_xlabel(xlabel)
    if ylabel:
        ax.set_ylabel(ylabel)
    ax.margins(x=0.01)
    _axes.plain(ax)
    _axes.heading(ax, title)


def history(
    history: History | Mapping[str, Sequence[float]], metrics: Sequence[str] | None = None, *, ax: Any = None
) -> Any:
    """Draw loss and metrics over the epochs of a training.

    Parameters
    ----------
    history : History or dict of str to list of float
        As ``fit`` returns it.
    metrics : sequence of str, optional
        Which, without ``val_``; by default the loss and all metrics. Values on validation data go with them, dashed.
    ax : matplotlib.axes.Axes, or sequence of such, optional
        One for each metric; by default on a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        With one panel for each metric, the loss first.

    Raises
    ------
    TypeError, ValueError
        If a metric is unknown, or no epoch was completed.
    ImportError
        If matplotlib is not installed.
    """
    values = getattr(history, "history", history)
    if not isinstance(values, dict):
        raise _errors.bad_type("history", "a History, or its dictionary", values)
    known = [name for name in values if not (name.startswith("val_") and name[4:] in values)]
    if not known or not all(len(values[name]) for name in known):
        raise _errors.bad_value("history", "at least one complete epoch", "none")
    chosen = known if metrics is None else [_errors.check_choice("metrics", name, known) for name in metrics]
    epochs = getattr(history, "epoch", None)
    axes = _axes.panels(ax, [2.2] * len(chosen), width=6.0)
    for number, (one, name) in enumerate(zip(axes, chosen, strict=True)):
        colour = _axes.COLOURS[number % len(_axes.COLOURS)]
        for key, style, label in ((name, "-", "training"), (f"val_{name}", "--", "validation")):
            if key in values:
                at = _epochs(epochs, len(values[key]))
                one.plot(at, values[key], style, marker=".", color=colour, linewidth=1.8, label=label)
        one.set_ylabel(name.replace("_", " "))
        one.xaxis.get_major_locator().set_params(integer=True)
        _axes.plain(one)
        if len(one.lines) > 1:
            _axes.heading(one, None)
    axes[-1].set_xlabel("epoch")
    return axes[0].figure


def _epochs(epochs: Sequence[int] | None, count: int) -> Array:
    """Return epochs counted from 1, as the progress bar counts them; those of the last ``count`` where fewer."""
    if epochs is None or len(epochs) < count:
        return np.arange(1, count + 1)
    return np.asarray(epochs[len(epochs) - count :]) + 1
