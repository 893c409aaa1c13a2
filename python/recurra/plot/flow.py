"""How far back in time a loss is felt: norms of the gradients of hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.layers.trace import hidden_gradients, suffixes
from recurra.plot import _axes
from recurra.training import checking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recurra._typing import Array
    from recurra.training.trainer import Trainer


def gradient_norms(model: Trainer, x: Any, y: Any, lengths: Any = None, sample_weight: Any = None) -> dict[str, Array]:
    """Return the norm of dL/dh_t at every time step, for each recurrent layer of a model.

    dL/dh_t is the whole gradient of the loss: through the output of step t and through all later steps. The norm is
    Euclidean over the units, then averaged over the samples whose sequence reaches step t. A plain network's falls
    exponentially towards early steps (Hochreiter 1991; Bengio et al. 1994); gates keep it up.

    Parameters
    ----------
    model : Sequential or Model
        Compiled, for its loss. Its gradients and weights stay as they are.
    x, y, lengths, sample_weight
        As in ``fit``; all of it is one batch, without dropout.

    Returns
    -------
    dict of str to numpy.ndarray, shape (time,)
        Under the layer's name, followed by layer and direction where there are several (``"lstm l1_reverse"``);
        further calls of a shared layer get a number. NaN where no sample reaches.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments, or if the model has no recurrent layer.

    Notes
    -----
    Uses the model's gradients for a while, so it belongs to the thread that trains.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> model = recurra.Sequential([recurra.RNN(8, seed=1), recurra.Dense(1, seed=2)])
    >>> model.compile("adam", "mse")
    >>> x = np.random.default_rng(0).standard_normal((16, 50, 3))
    >>> norms = recurra.plot.gradient_norms(model, x, np.ones((16, 1)))["rnn"]
    >>> norms.shape, bool(norms[0] < norms[-1] / 100)
    ((50,), True)
    """
    model._require_compiled()
    batch = checking.samples(model, x, y, lengths, sample_weight).batch(slice(None))
    outputs, steps, pullback = model._taped(batch.x, batch.lengths, False, 0)
    _, dys = model._objective.vjp(batch, outputs, steps)
    before = model.flat_gradients.copy()
    try:
        with hidden_gradients(padding=np.nan) as found:
            pullback(dys, need_dx=False)
    finally:
        model.flat_gradients[...] = before
    norms: dict[str, Array] = {}
    for layer, gradients in reversed(found):
        for suffix, dh in zip(suffixes(layer), gradients, strict=True):
            label = f"{layer.name} {suffix}" if layer.stack > 1 else layer.name
            norms[_unused(label, norms)] = _mean_norm(dh)
    if not norms:
        raise _errors.bad_value("model", "a model with a recurrent layer that the loss depends on", f"{model.name!r}")
    return norms


def _unused(label: str, taken: Mapping[str, object]) -> str:
    name, number = label, 0
    while name in taken:
        number += 1
        name = f"{label}_{number}"
    return name


def _mean_norm(dh: Array) -> Array:
    """Return the mean norm of dh (batch, time, units) over the samples that have a step, NaN marking those without."""
    norms = np.linalg.norm(dh.astype(np.float64), axis=2)
    there = ~np.isnan(dh[..., 0])
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(there, norms, 0.0).sum(axis=0) / there.sum(axis=0)
    return mean


def gradient_flow(
    model: Any,
    x: Any,
    y: Any,
    lengths: Any = None,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = "Gradient that reaches each time step",
    ax: Any = None,
) -> Any:
    """Draw the norm of dL/dh_t over time on a logarithmic axis: the vanishing gradient, made visible.

    Parameters
    ----------
    model : Sequential or Model, or list or dict of such
        Compiled; several share the axes, under a dictionary's keys or ``labels``.
    x, y, lengths
        As in `gradient_norms`, which computes what is drawn.
    labels : list of str, optional
        Names of the models.
    title : str, optional
        None for none.
    ax : matplotlib.axes.Axes, optional
        To draw on; by default on a new Figure, ``.figure`` of what is returned.

    Returns
    -------
    matplotlib.axes.Axes
        With one line for each recurrent layer and direction.

    Raises
    ------
    TypeError, ValueError
        As `gradient_norms` does.
    ImportError
        If matplotlib is not installed.
    """
    models = _named(model, labels)
    norms = {name: gradient_norms(one, x, y, lengths) for name, one in models.items()}
    ax = _axes.axes(ax)
    lines = {
        (f"{name}: {layer}" if len(of_one) > 1 else name) if len(models) > 1 or labels else layer: values
        for name, of_one in norms.items()
        for layer, values in of_one.items()
    }
    for number, (label, values) in enumerate(lines.items()):
        style = ("-", "--", ":")[number // len(_axes.COLOURS) % 3]
        colour = _axes.COLOURS[number % len(_axes.COLOURS)]
        ax.plot(np.arange(len(values)), values, style, color=colour, linewidth=1.8, label=label)
    ax.set_yscale("log")
    ax.margins(x=0.01)
    ax.set_xlabel("time step $t$")
    ax.set_ylabel(r"$\Vert\,\partial L\,/\,\partial h_t\,\Vert$, mean of the samples")
    _axes.plain(ax)
    _axes.heading(ax, title)
    return ax


def _named(model: Any, labels: Sequence[str] | None) -> dict[str, Any]:
    """Return models by label."""
    from recurra.training.trainer import Trainer

    if isinstance(model, dict):
        models = {str(name): one for name, one in model.items()}
    else:
        listed = list(model) if isinstance(model, list | tuple) else [model]
        models = {}
        for one in listed:
            models[_unused(getattr(one, "name", "model"), models)] = one
    if not models:
        raise _errors.bad_value("model", "at least one model", "none")
    for one in models.values():
        if not isinstance(one, Trainer):
            raise _errors.bad_type("model", "a model, or a list or dictionary of models", one)
    if labels is None:
        return models
    names = _axes.check_tokens("labels", labels, len(models), "model")
    return dict(zip(map(str, names or ()), models.values(), strict=True))
