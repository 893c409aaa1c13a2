"""One layer in one call, for a reader who has weights and wants the formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._types import Array
from .recurrent import Recurrent


def rnn(
    x: ArrayLike, parameters: Mapping[str, ArrayLike], h0: ArrayLike | None = None, **options: Any
) -> tuple[Array, Array]:
    """Simple recurrent layer, ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    x : ndarray (N, T, I)
    parameters : dict of ndarray
        ``weight_ih`` (H, I), ``weight_hh`` (H, H), and both of ``bias_ih``, ``bias_hh`` (H,) or none.
    h0 : ndarray (N, H), optional
    **options
        As of :class:`Recurrent`.

    Returns
    -------
    y : ndarray (N, T, H)
    h : ndarray (N, H)
        The last state.

    Examples
    --------
    >>> y, h = rnn([[[1.0], [0.0]]], {"weight_ih": [[2.0]], "weight_hh": [[1.0]]}, activation="identity")
    >>> y.tolist(), h.tolist()
    ([[[2.0], [2.0]]], [[2.0]])
    """
    y, h, _ = _call("rnn", x, parameters, h0, None, options)
    return y, h


def lstm(
    x: ArrayLike,
    parameters: Mapping[str, ArrayLike],
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    **options: Any,
) -> tuple[Array, Array, Array]:
    """Long short-term memory layer; the formulas are those of :class:`recurra.reference.cells.LSTM`.

    Parameters
    ----------
    x : ndarray (N, T, I)
    parameters : dict of ndarray
        ``weight_ih`` (4*H, I), ``weight_hh`` (4*H, R), and both of ``bias_ih``, ``bias_hh`` (4*H,) or none, gates
        in the order i, f, g, o; ``weight_hr`` and the like if the options ask for them.
    h0, c0 : ndarray (N, R), (N, H), optional
    **options
        As of :class:`Recurrent`.

    Returns
    -------
    y : ndarray (N, T, R)
    h, c : ndarray (N, R), (N, H)
        The last states.
    """
    y, h, c = _call("lstm", x, parameters, h0, c0, options)
    assert c is not None
    return y, h, c


def gru(
    x: ArrayLike, parameters: Mapping[str, ArrayLike], h0: ArrayLike | None = None, **options: Any
) -> tuple[Array, Array]:
    """Gated recurrent unit layer; the formulas are those of :class:`recurra.reference.cells.GRU`.

    Parameters
    ----------
    x : ndarray (N, T, I)
    parameters : dict of ndarray
        ``weight_ih`` (3*H, I), ``weight_hh`` (3*H, H), and both of ``bias_ih``, ``bias_hh`` (3*H,) or none, gates
        in the order r, z, n.
    h0 : ndarray (N, H), optional
    **options
        As of :class:`Recurrent`.

    Returns
    -------
    y : ndarray (N, T, H)
    h : ndarray (N, H)
        The last state.
    """
    y, h, _ = _call("gru", x, parameters, h0, None, options)
    return y, h


def _call(
    cell: str,
    x: ArrayLike,
    parameters: Mapping[str, ArrayLike],
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    options: dict[str, Any],
) -> tuple[Array, Array, Array | None]:
    """Run one layer of one direction; states come and go without the axis of layers."""
    width = np.shape(parameters["weight_ih"])[1]
    gates = {"rnn": 1, "gru": 3, "lstm": 3 if options.get("input_forget") else 4}[cell]
    units = np.shape(parameters["weight_ih"])[0] // gates
    plan = Recurrent(cell, width, units, **{"use_bias": "bias_ih" in parameters, **options})
    names = [name.removesuffix("_l0") for name, _, _ in plan.layout]
    if sorted(names) != sorted(parameters):
        raise ValueError(f"parameters: expected {', '.join(names)}, got {', '.join(parameters)}")
    flat = np.concatenate([np.ravel(np.asarray(parameters[name], plan.dtype)) for name in names])
    states = (None if state is None else np.asarray(state)[np.newaxis] for state in (h0, c0))
    y, hn, cn = plan.forward(flat, x, *states)
    return y, hn[0], None if cn is None else cn[0]
