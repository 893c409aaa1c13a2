"""From a model's outputs to sequences of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import _core, _errors

if TYPE_CHECKING:
    from recurra._typing import Array


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any = None,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Array, Array]:
    """Return the labels that the outputs of a model trained with `recurra.losses.CTC` stand for.

    Parameters
    ----------
    inputs : array_like, shape (batch, time, classes)
        Logits, or logarithms of probabilities.
    sequence_lengths : array_like of int, shape (batch,), optional
        Steps of each sample; all by default.
    strategy : {"greedy", "beam_search"}, default "greedy"
        The likeliest class of each step; or the likeliest labels, by prefix beam search (Graves 2012).
    beam_width : int, default 100
        Prefixes that the search keeps after each step. Enough of them make it exact.
    top_paths : int, default 1
        Results of the search for each sample, best first.
    merge_repeated : bool, default True
        With "greedy", equal classes in a row are one label.
    mask_index : int, default 0
        The blank.

    Returns
    -------
    decoded : numpy.ndarray of int64, shape (top_paths, batch, time)
        Labels, ended by -1; one path with "greedy".
    scores : numpy.ndarray of float64
        "greedy": (batch, 1), minus the sum of the largest inputs. "beam_search": (batch, top_paths), the logarithms of
        the labels' probabilities; -inf and no labels where there are fewer results.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Arguments and results are those of `keras.ops.ctc_decode`. Safe from several threads; results do not depend on the
    number of threads.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> steps = np.log([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]])
    >>> recurra.ctc_decode(steps)[0]
    array([[[ 1,  2, -1, -1]]])
    """
    _errors.check_choice("strategy", strategy, ("greedy", "beam_search"))
    outputs = _outputs("inputs", inputs, ("batch", "time", "classes"))
    batch, time, classes = outputs.shape
    blank = _errors.check_integer("mask_index", mask_index, 0, classes - 1)
    lengths = _lengths(sequence_lengths, batch, time)
    merge = _errors.check_flag("merge_repeated", merge_repeated)
    width = _errors.check_integer("beam_width", beam_width, 1)
    paths = _errors.check_integer("top_paths", top_paths, 1, width)
    if strategy == "beam_search":
        return _core.ctc_search(outputs, lengths, blank=blank, width=width, paths=paths)
    best = outputs.argmax(axis=-1) if time else np.zeros((batch, 0), np.int64)
    counted = np.arange(time) < lengths[:, None]
    kept = counted & (best != blank)
    if merge:
        kept[:, 1:] &= best[:, 1:] != best[:, :-1]
    largest = np.where(counted, outputs.max(axis=-1, initial=-np.inf), 0.0)
    return moved_to_front(best, kept)[None], -largest.sum(axis=1, dtype=np.float64)[:, None]


def crf_decode(potentials: Any, lengths: Any = None) -> tuple[Array, Array]:
    """Return the path of labels with the largest score for each sample (Viterbi 1967).

    Parameters
    ----------
    potentials : array_like, shape (batch, time, labels, labels)
        As `recurra.layers.CRF` returns them: (t, i, j) is the score of going from label i to label j at step t; of step
        0 row 0 alone is read.
    lengths : array_like of int, shape (batch,), optional
        Steps of each sample; all by default. Give the layer the same.

    Returns
    -------
    paths : numpy.ndarray of int64, shape (batch, time)
        Labels, -1 behind a sample's end.
    scores : numpy.ndarray of float64, shape (batch,)
        The paths' scores.

    Raises
    ------
    TypeError, ValueError
        On wrong arguments.

    Notes
    -----
    Safe from several threads; results do not depend on the number of threads.

    Examples
    --------
    >>> import numpy as np, recurra
    >>> paths, scores = recurra.crf_decode(np.log([[[[0.1, 0.9]] * 2, [[0.5, 0.5], [0.7, 0.3]]]]))
    >>> paths
    array([[1, 0]])
    """
    outputs = _outputs("potentials", potentials, ("batch", "time", "labels", "labels"))
    if outputs.shape[2] != outputs.shape[3] or not outputs.shape[3]:
        raise _errors.bad_value("potentials", "as many labels on both last axes", f"shape {outputs.shape}")
    return _core.crf_search(outputs, _lengths(lengths, *outputs.shape[:2]))


def moved_to_front(values: Array, kept: Array) -> Array:
    """Return the values (rows, time) that are kept, in order at the front of each row, -1 behind them."""
    order = np.argsort(~kept, axis=1, kind="stable")
    result: Array = np.take_along_axis(np.where(kept, values, -1), order, axis=1)
    return result


def _outputs(argument: str, value: Any, axes: tuple[str, ...]) -> Array:
    array = np.asarray(value)
    if array.dtype.name not in ("float32", "float64"):
        array = _errors.as_real(argument, value, np.dtype(np.float64))
    _errors.check_shape(argument, array.shape, axes, (None,) * len(axes))
    return np.ascontiguousarray(array)


def _lengths(lengths: Any, batch: int, time: int) -> Array:
    return np.full(batch, time, np.int64) if lengths is None else _errors.check_lengths(lengths, batch, time)
