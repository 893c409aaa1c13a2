"""Tables of numbers as pictures: attention weights, and which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _errors
from recurra.plot import _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recurra._typing import Array

NORMALIZE = ("true", "pred", "all")
_MOST_NUMBERS = 30  # classes; beyond that numbers in cells cannot be read


def attention(
    weights: Any,
    source_tokens: Sequence[Any] | None = None,
    target_tokens: Sequence[Any] | None = None,
    *,
    title: str | None = "Attention",
    ax: Any = None,
) -> Any:
    """Draw how much each output step attends to each input step.

    Parameters
    ----------
    weights : array_like, shape (target steps, source steps)
        Of one sample (and one head), as an attention layer returns them; rows sum to 1.
    source_tokens, target_tokens : sequence, optional
        A label for each step; drawn up to 64 of them.
    title : str, optional
        None for none.
    ax : matplotlib.axes.Axes, optional
        To draw on; by default on a new Figure.

    Returns
    -------
    matplotlib.axes.Axes
        With one image, source steps to the right, target steps downward.

    Raises
    ------
    TypeError, ValueError
        If the shape or the number of labels does not fit.
    ImportError
        If matplotlib is not installed.
    """
    values = _errors.as_real("weights", weights, np.dtype(np.float64))
    if values.ndim != 2:
        hint = "choose a sample and a head: weights[0], or average over heads"
        raise _errors.bad_value("weights", "shape (target steps, source steps)", f"{values.shape}", hint)
    targets, sources = values.shape
    source_tokens = _axes.check_tokens("source_tokens", source_tokens, sources, "source step")
    target_tokens = _axes.check_tokens("target_tokens", target_tokens, targets, "target step")
    ax = _axes.axes(ax, 1.8 + min(0.28 * max(sources, 4), 8.0), 1.2 + min(0.28 * max(targets, 4), 8.0))
    image = _axes.heat_map(ax, values, _axes.SHARES, (0.0, max(float(values.max(initial=0.0)), 1e-12)))
    long = source_tokens is not None and max((len(str(token)) for token in source_tokens), default=0) > 3
    _axes.token_ticks(ax.xaxis, source_tokens, sources, rotation=90 if long else 0)
    _axes.token_ticks(ax.yaxis, target_tokens, targets)
    ax.set_xlabel("source" if source_tokens is not None else "source step")
    ax.set_ylabel("target" if target_tokens is not None else "target step")
    if title:
        ax.set_title(title)
    _bar(ax, image, "weight")
    return ax


def confusion(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[Any] | None = None,
    normalize: str | None = None,
    *,
    title: str | None = "Confusion matrix",
    ax: Any = None,
) -> Any:
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    y_true : array_like of int, any shape
        Classes; or shape (..., classes), one-hot.
    y_pred : array_like
        Classes in the same shape; or scores (..., classes), the highest of which counts.
    labels : sequence, optional
        Names of the classes 0, 1, ...; by default their numbers.
    normalize : {"true", "pred", "all"}, optional
        Divide by the sum of each row, of each column or of all (scikit-learn's words); by default show counts.
    title : str, optional
        None for none.
    ax : matplotlib.axes.Axes, optional
        To draw on; by default on a new Figure.

    Returns
    -------
    matplotlib.axes.Axes
        With one image, predictions to the right, truth downward, and numbers in the cells up to 30 classes.

    Raises
    ------
    TypeError, ValueError
        If shapes differ or a class has no label.
    ImportError
        If matplotlib is not installed.
    """
    counts = confusion_counts(y_true, y_pred, None if labels is None else len(list(labels)))
    values = _normalized(counts, normalize)
    classes = len(values)
    names = [str(name) for name in (range(classes) if labels is None else labels)]
    ax = _axes.axes(ax, 2.2 + min(0.55 * max(classes, 3), 9.0), 1.4 + min(0.5 * max(classes, 3), 9.0))
    image = _axes.heat_map(ax, values, "Blues", (0.0, max(float(values.max(initial=0.0)), 1e-12)))
    if classes <= _MOST_NUMBERS:
        _numbers(ax, values, normalize is not None)
    long = max((len(name) for name in names), default=0) > 7
    _axes.token_ticks(ax.xaxis, names, classes, rotation=90 if long else 0)
    _axes.token_ticks(ax.yaxis, names, classes)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    if title:
        ax.set_title(title)
    shares = {"true": "share of the true class", "pred": "share of the predicted class", "all": "share of all"}
    _bar(ax, image, shares[normalize] if normalize else "samples")
    return ax


def confusion_counts(y_true: Any, y_pred: Any, classes: int | None = None) -> Array:
    """Return how often each true class (rows) was predicted as each class (columns)."""
    true, predicted = _scored("y_true", y_true), _scored("y_pred", y_pred)
    if true.ndim == predicted.ndim + 1:
        true = true.argmax(axis=-1)
    elif predicted.ndim == true.ndim + 1:
        predicted = predicted.argmax(axis=-1)
    true, predicted = _whole("y_true", true), _whole("y_pred", predicted)
    if true.shape != predicted.shape:
        raise _errors.bad_value("y_pred", f"classes of shape {true.shape}, as y_true", f"{predicted.shape}")
    most = int(max(true.max(initial=-1), predicted.max(initial=-1))) + 1
    if classes is not None and most > classes:
        raise _errors.bad_value("labels", f"at least {most} names", f"{classes}", f"class {most - 1} occurs")
    size = most if classes is None else classes
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (true.ravel(), predicted.ravel()), 1)
    return counts


def _scored(argument: str, values: Any) -> Array:
    """Return numbers; real ones with an axis of classes as the class with the highest."""
    array: Array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise _errors.bad_type(argument, "class numbers or scores", f"an array of {array.dtype}")
    scores = array.dtype.kind == "f" and array.ndim > 1 and array.shape[-1] > 1
    return array.argmax(axis=-1) if scores else array


def _whole(argument: str, array: Array) -> Array:
    whole: Array = array.astype(np.int64)
    if (whole != array).any() or (whole < 0).any():
        raise _errors.bad_value(argument, "class numbers 0, 1, ...", "others", "scores need an axis of classes")
    return whole


def _normalized(counts: Array, normalize: str | None) -> Array:
    if normalize is None:
        return counts
    axis = {"true": (1,), "pred": (0,), "all": (0, 1)}[_errors.check_choice("normalize", normalize, NORMALIZE)]
    shares: Array = counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1)
    return shares


def _numbers(ax: Any, values: Array, shares: bool) -> None:
    """Write each cell's number in it, white on dark."""
    dark = 0.55 * float(values.max(initial=0.0))
    size = 9.0 if len(values) <= 12 else 6.0
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.2f}" if shares else f"{value:d}"
        colour = "white" if value > dark else "#222222" if value else "#AAAAAA"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _bar(ax: Any, image: Any, label: str) -> None:
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize="small")
    bar.set_label(label, fontsize="small")
